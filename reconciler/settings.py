"""The settings: flag, then RECONCILER_ variable, then the settings file, then default (CONTRACT §3)."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from reconciler.core.duration import parse_duration
from reconciler.core.guards import MaxChanged, parse_max_changed
from reconciler.errors import InputError
from reconciler.model import AuthScheme, Problem
from reconciler.setting_flags import SETTING_FLAGS

PREFIX = "RECONCILER_"
FILE = "reconciler.toml"
PYPROJECT = "pyproject.toml"
LEASE_MARGIN_S = 60.0  # what a run may lose between its attempts without its lease being the shorter

_FLAG_OF = {flag.path: flag for flag in SETTING_FLAGS}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _split(value: object) -> object:
    """A list from a variable or a flag: comma separated, or JSON. An empty text is an empty list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError("write hosts separated by commas") from error
    return [part.strip() for part in value.split(",") if part.strip()]


def _number(value: object) -> object:
    """A number from a variable or a flag, where everything is text."""
    if isinstance(value, str):
        try:
            return float(value) if "." in value else int(value)
        except ValueError as error:
            raise ValueError("write a number") from error
    return value


def _boolean(value: object) -> object:
    if isinstance(value, str):
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if value.lower() not in known:
            raise ValueError("write true or false")
        return known[value.lower()]
    return value


def _max_changed(value: object) -> object:
    if isinstance(value, MaxChanged) or value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("write a whole number of environments such as 20, or a percentage such as 50%")
    return parse_max_changed(str(value))


def _variable_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("write the name of an environment variable")
    return value


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("write a duration longer than nothing")
    return value


Text = Annotated[str, Field(min_length=1, strict=True)]
Seconds = Annotated[float, BeforeValidator(parse_duration), AfterValidator(_positive)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_split)]
VariableName = Annotated[Text, AfterValidator(_variable_name)]


Count = Annotated[int, BeforeValidator(_number), Field(ge=1, le=1_000_000, strict=True)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Api(_Group):
    base_url: Text = "https://www.plugchat.com.br"
    auth_scheme: AuthScheme = AuthScheme.RAW
    allowed_hosts: Hosts = ("www.plugchat.com.br", "app.plugchat.com.br", "api.plugchat.com.br")


class Partner(_Group):
    base_url: Text = "https://api.plugchat.com.br"
    token_env: VariableName = "PLUG_PARTNER_TOKEN"  # noqa: S105 - a variable's name


class PolicySettings(_Group):
    allowed_hosts: Hosts | None = None  # None: every host; empty: none
    denied_hosts: Hosts = ()


class Settings(BaseSettings):
    """All settings, checked. Durations are seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    manifests: Text = "manifests"
    state: Text = ".reconciler/state"
    api: Api = Api()
    partner: Partner = Partner()
    concurrency: Annotated[Count, Field(le=1024)] = 8
    rate_limit: Annotated[float, BeforeValidator(_number), Field(gt=0, le=100_000)] | None = None
    timeout: Seconds = 30.0
    attempts: Annotated[Count, Field(le=100)] = 4
    deadline: Seconds = 120.0
    lease: Seconds = 900.0
    max_age: Seconds | None = None
    max_changed: Annotated[MaxChanged | None, BeforeValidator(_max_changed)] = None
    max_failures: Count = 10
    tokens_file: Text | None = None
    allow_local_receivers: Annotated[bool, BeforeValidator(_boolean)] = False
    policy: PolicySettings = PolicySettings()
    secret_prefix: VariableName = "PLUG_SECRET_"  # noqa: S105 - names' beginnings
    token_prefix: VariableName = "PLUG_TOKEN"  # noqa: S105

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands over: it has gathered flags, variables and the file, by precedence.

        The library's own reading of variables knows nothing of where a value came from, and that is what
        an error has to say; it also reads os.environ, not the environment that a caller gives.
        """
        return (init_settings,)


def load_settings(environ: Mapping[str, str], folder: str, flags: Mapping[str, object]) -> Settings:
    """The settings of a run in `folder`. `flags`: a setting's path to the text given on the command line.

    Raises InputError with every fault, each saying where the value came from.
    """
    problems: list[Problem] = []
    values, origins = _read_file(Path(folder), problems)
    for path, value in _read_variables(environ, problems):
        _set(values, path, value)
        origins[path] = Problem("", 0, 0, _FLAG_OF[path].variable, "")
    for path, given in flags.items():
        _set(values, path, given)
        origins[path] = Problem("", 0, 0, _FLAG_OF[path].name, "")
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems.extend(_translate(one, origins) for one in error.errors(include_input=False, include_url=False))
        raise InputError(problems=problems) from None
    problems.extend(_check(settings, origins))
    if problems:
        raise InputError(problems=problems)
    return settings


def _set(values: dict[str, Any], path: str, value: object) -> None:
    group, _, key = path.rpartition(".")
    target = values.setdefault(group, {}) if group else values
    if isinstance(target, dict):
        target[key] = value


# --- sources ---------------------------------------------------------------------------------------


def _read_file(folder: Path, problems: list[Problem]) -> tuple[dict[str, Any], dict[str, Problem]]:
    """The table of reconciler.toml, or of [tool.reconciler] in pyproject.toml; both is an error."""
    own = _load_toml(folder / FILE, problems)
    project = _load_toml(folder / PYPROJECT, problems)
    tool = project.get("tool", {}) if project is not None else {}
    table = tool.get("reconciler") if isinstance(tool, dict) else None
    if own is not None and table is not None:
        problems.append(
            Problem(PYPROJECT, 1, 1, "tool.reconciler", f"settings stand here and in {FILE} too", "keep one of them")
        )
    name, values = (FILE, own) if own is not None else (PYPROJECT, table)
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        problems.append(Problem(name, 1, 1, "tool.reconciler", "is no table"))
        return {}, {}
    lines = _lines_of(folder / name)
    origins = {path: Problem(name, _find_line(lines, path), 1, path, "") for path in _paths(values)}
    for path in [path for path in origins if path not in _FLAG_OF and path not in _GROUPS]:
        problems.append(_unknown(origins[path], path, _FLAG_OF))
        _drop(values, path)
    return values, origins


_GROUPS = {path.rpartition(".")[0] for path in _FLAG_OF} - {""}


def _load_toml(path: Path, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
        what = re.sub(r" \(at .*\)$", "", str(error))
        problems.append(Problem(path.name, line, column, "", f"is no TOML: {what}"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        problems.append(Problem(path.name, 1, 1, "", f"can't be read: {reason}"))
    return None


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _find_line(lines: list[str], path: str) -> int:
    """The line of a setting's key: good enough for a person to look at, 1 where it isn't found."""
    key = re.escape(path.rpartition(".")[2])
    for number, line in enumerate(lines, 1):
        if re.match(rf"\s*(\[.*\b)?[\"']?{key}[\"']?\s*[=\].]", line) or re.search(rf"[{{,.]\s*{key}\s*=", line):
            return number
    return 1


def _paths(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if key in _GROUPS and isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key


def _drop(values: dict[str, Any], path: str) -> None:
    group, _, key = path.rpartition(".")
    (values[group] if group else values).pop(key, None)


def _read_variables(environ: Mapping[str, str], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    by_variable = {flag.variable: flag.path for flag in SETTING_FLAGS}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        if name in by_variable:
            yield by_variable[name], environ[name]
        else:
            problems.append(_unknown(Problem("", 0, 0, name, ""), name, by_variable))


def _unknown(origin: Problem, name: str, known: Iterable[str]) -> Problem:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else "the README lists all settings"
    return Problem(origin.file, origin.line, origin.column, origin.key, "is no setting", hint)


# --- faults ----------------------------------------------------------------------------------------

_WORDS = {
    "missing": "is missing",
    "string_type": "is no text",
    "string_too_short": "is empty",
    "int_type": "is no whole number",
    "float_type": "is no number",
    "bool_type": "is neither true nor false",
    "tuple_type": "is no list",
    "model_type": "is no table",
    "model_attributes_type": "is no table",
}


def _translate(error: ErrorDetails, origins: Mapping[str, Problem]) -> Problem:
    parts = [str(part) for part in error["loc"] if isinstance(part, str)]
    path = ".".join(parts[:2]) if parts and parts[0] in _GROUPS else (parts[0] if parts else "")
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "value_error":
        message, hint = "can't be used", str(context.get("error", ""))
    elif kind in ("greater_than", "greater_than_equal", "less_than_equal"):
        limit = next(iter(context.values()))
        words = {"greater_than": "more than", "greater_than_equal": "at least", "less_than_equal": "at most"}
        message, hint = "is out of range", f"write {words[kind]} {limit}"
    elif kind == "enum":
        message, hint = "is none of the known values", f"write {context.get('expected', '')}"
    else:
        message, hint = _WORDS.get(kind, "is of the wrong type"), ""
    return _at(path, message, hint, origins)


def _at(path: str, message: str, hint: str, origins: Mapping[str, Problem]) -> Problem:
    """The problem at the place where the value came from; a default's place is its name."""
    origin = origins.get(path, Problem("", 0, 0, path, ""))
    return Problem(origin.file, origin.line, origin.column, origin.key, message, hint)


def _check(settings: Settings, origins: Mapping[str, Problem]) -> Iterator[Problem]:
    """What holds between settings, and of addresses and hosts."""
    from reconciler.core.policy import find_pattern_fault
    from reconciler.core.urls import find_base_url_fault

    least = settings.deadline + settings.timeout + LEASE_MARGIN_S
    if settings.lease < least:
        hint = f"write at least deadline + timeout + 60 s: {least:g}"
        place = next((path for path in ("lease", "deadline", "timeout") if path in origins), "lease")
        yield _at(place, f"the lease of {settings.lease:g} s is too short", hint, origins)
    checked = [("api.base_url", settings.api.base_url)]
    # the partner address is used by what observes alone, so its default is left in peace
    if "partner.base_url" in origins:
        checked.append(("partner.base_url", settings.partner.base_url))
    for path, url in checked:
        fault = find_base_url_fault(url, settings.api.allowed_hosts)
        if fault is not None:
            yield _at(path, *fault, origins)
    for path, patterns in (
        ("policy.allowed_hosts", settings.policy.allowed_hosts or ()),
        ("policy.denied_hosts", settings.policy.denied_hosts),
    ):
        for pattern in patterns:
            fault = find_pattern_fault(pattern)
            if fault is not None:
                yield _at(path, *fault, origins)
