"""The models of a manifest and a `_defaults.yaml`: the only source of keys, types and the schema.

See docs/manifests.md, docs/manifests.md#policy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from reconciler.core.portable import ENVIRONMENT_NAME
from reconciler.core.slips import make_environment_name
from reconciler.manifests import STORED_SCHEMA
from reconciler.manifests.nodes import AmbiguousScalar, File, KeyPath, dotted
from reconciler.model import EVENTS, AuthScheme, BodyForm

ENVIRONMENT_PATTERN = f"^{ENVIRONMENT_NAME}$"
ACCOUNT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"

MAX_PROBLEMS = 100  # problems of a file that are reported one by one
MAX_COMPARED = 40  # characters of a word that may be misspelt; the time grows with the square
MAX_CANDIDATES = 100  # words that a misspelt one is compared with
MAX_SEEN = 2000  # words among which these candidates are looked for

# a default of None is never validated and only means "not given": an explicit null is an error
_NOT_GIVEN: Any = None


class _Part(BaseModel):
    # built at the first use: a run validates a whole manifest or defaults, never a part alone
    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)


# For editors, which can't know the value of a var. A URL begins with https, http and this machine, or a placeholder,
# and holds nothing that is refused in every URL: a blank, a backslash, a fragment, a character outside ASCII.
_URL_PATTERN = r"^(https://|http://(localhost|127\.|\[::1\])|\{[A-Za-z_])[!-\"$-\[\]-~]*$"


def _url(what: str) -> Any:
    return Field(
        default=_NOT_GIVEN,
        description=f"Called when {what}. An https URL; {{NAME}} and {{secret:NAME}} are filled in.",
        json_schema_extra={"pattern": _URL_PATTERN},
    )


class WebhooksPart(_Part):
    """The seven events; all are required once defaults are merged."""

    finishAttendance: str = _url("an attendance ends")
    startAttendance: str = _url("an attendance starts")
    receiveMessage: str = _url("a message is received")
    sendingMessage: str = _url("a message is sent")
    messageDeliveryError: str = _url("a message could not be delivered")
    messageStatus: str = _url("the status of a message changes")
    whenDisconnecting: str = _url("the WhatsApp connection drops")


class ApiPart(_Part):
    """Overrides the settings for this environment."""

    base_url: str = Field(default=_NOT_GIVEN, description="Where this company's API is; a host of api.allowed_hosts.")
    auth_scheme: Literal["raw", "bearer"] = Field(default=_NOT_GIVEN, description="How the token is sent.")
    body: Literal["flat", "value"] = Field(
        default=_NOT_GIVEN,
        description="Where the seven webhooks are in the body of the PUT: at the top level, or in an object `value`.",
    )


class PolicyPart(_Part):
    """Which hosts the webhooks below this folder may have. A nearer file can only narrow."""

    allowed_hosts: list[str] = Field(default=_NOT_GIVEN, description="Hosts, or *.x for every name below x.")
    denied_hosts: list[str] = Field(default=_NOT_GIVEN, description="Denied wins over allowed.")


class CommonPart(_Part):
    description: str = Field(default=_NOT_GIVEN, description="For people.")
    wave: Annotated[int, Field(ge=0, le=9999)] = Field(
        default=_NOT_GIVEN, description="Lower waves are applied first; 0."
    )
    token_env: Annotated[str, Field(pattern=VARIABLE_PATTERN)] = Field(
        default=_NOT_GIVEN, description="Variable that holds the token; PLUG_TOKEN_<ENVIRONMENT>."
    )
    account_id: Annotated[str, Field(pattern=ACCOUNT_PATTERN)] = Field(
        default=_NOT_GIVEN, description="The partner API's id; makes the environment observable."
    )
    organization_id: Annotated[str, Field(pattern=ACCOUNT_PATTERN)] = Field(
        default=_NOT_GIVEN,
        description="The company that this environment is: the organizationId of its token. Another one is refused.",
    )
    api: ApiPart = Field(default=_NOT_GIVEN)
    vars: dict[str, str] = Field(default=_NOT_GIVEN, description="Texts that fill in {NAME} in the webhooks.")
    webhooks: WebhooksPart = Field(default=_NOT_GIVEN)


class Manifest(CommonPart):
    """One Plug Chat company's webhooks."""

    environment: Annotated[str, Field(pattern=ENVIRONMENT_PATTERN)] = Field(
        default=_NOT_GIVEN, description="The environment's name; the file's stem when left out."
    )


class Defaults(CommonPart):
    """The defaults of every manifest in this folder and below it."""

    policy: PolicyPart = Field(default=_NOT_GIVEN)


def editor_schema() -> dict[str, Any]:
    """Return the stored JSON Schema with `policy` added, as editors check _defaults.yaml with the same schema."""
    schema: dict[str, Any] = json.loads(STORED_SCHEMA.read_text(encoding="utf-8"))
    policy = PolicyPart.model_json_schema()
    tidy(policy)
    return {**schema, "properties": {**schema["properties"], "policy": policy}}


def tidy(schema: Any) -> None:
    """Remove what only pydantic needs: titles made of names, and null as the default of a key that is not given."""
    if isinstance(schema, list):
        for item in schema:
            tidy(item)
    if not isinstance(schema, dict):
        return
    if schema.get("default", 0) is None:
        del schema["default"]
    if isinstance(schema.get("title"), str):
        del schema["title"]
    for item in schema.values():
        tidy(item)


# --- faults ----------------------------------------------------------------------------------------

_EXPECTED = {
    "wave": "a whole number from 0 to 9999, in plain decimals without quotes",
    "api": "a mapping such as {base_url: …, auth_scheme: raw, body: flat}",
    "vars": "a mapping of names to texts, with a space after each colon",
    "webhooks": "a mapping of events to URLs, with a space after each colon",
    "policy": "a mapping of allowed_hosts and denied_hosts to lists",
    "policy.allowed_hosts": 'a list such as ["*.example.com.br"]',
    "policy.denied_hosts": 'a list such as ["*.ngrok-free.app"]',
}


def check_file(file: File, model: type[BaseModel]) -> set[KeyPath]:
    """Report wrong keys and types to the file, and return the paths that can't be used."""
    try:
        model.model_validate(file.values)
    except ValidationError as error:
        bad: set[KeyPath] = set()
        misplaced = find_misplaced_events(file)
        if misplaced:
            _report_misplaced(file, misplaced)
            bad |= misplaced
        for one in error.errors(include_url=False):
            path: KeyPath = tuple(one["loc"])
            if path in bad:
                continue
            if one["type"] == "extra_forbidden":
                _report_unknown(file, path, model)
            else:
                _report_value(file, path, one)
            bad.add(path)
        return bad
    return set()


def find_misplaced_events(file: File) -> set[KeyPath]:
    """Return the events at the top of the file or inside `value`, as they are on the vendor's page."""
    found: set[KeyPath] = {(event,) for event in EVENTS if event in file.values}
    inner = file.values.get("value")
    if isinstance(inner, dict) and any(event in inner for event in EVENTS):
        found.add(("value",))
    return found


def _report_misplaced(file: File, paths: set[KeyPath]) -> None:
    """Report all misplaced events as one problem, at the first of them."""
    position, path = min((file.key_positions[path], path) for path in paths)
    if path == ("value",):
        message, hint = "the events are inside `value`", "write `webhooks:` in its place, without the level `value`"
    else:
        message, hint = "the events are at the top of the file", "write the events under `webhooks:`"
    file.problem(position, dotted(path), message, hint)


def known_keys(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """Return the keys that the mapping at `path` may have."""
    if not path:
        return tuple(model.model_fields)
    parts: dict[str, type[BaseModel]] = {"api": ApiPart, "webhooks": WebhooksPart, "policy": PolicyPart}
    return tuple(parts[str(path[0])].model_fields) if path[0] in parts else ()


def _report_unknown(file: File, path: KeyPath, model: type[BaseModel]) -> None:
    key = str(path[-1])
    known = known_keys(model, path[:-1])
    # after MAX_PROBLEMS, problems are only counted, so no hint is needed
    near = near_miss(key, known) if len(file.problems) < MAX_PROBLEMS else None
    if path == ("environment",):
        hint = "a _defaults.yaml belongs to many environments; write it into the manifest"
    elif path == ("policy",):
        hint = "a policy is in _defaults.yaml or the settings, never in a manifest"
    elif near is not None:
        hint = f"did you mean {near}?"
    else:
        hint = "known here: " + ", ".join(known)
        if len(path) == 1 and isinstance(file.values[key], str):
            hint = f"a var is written under vars; {hint}"
    position = file.key_positions.get(path, file.start)
    message = "is not an event" if path[0] == "webhooks" else "is not a key of a manifest"
    file.problem(position, dotted(path), message, hint)


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like this one. If there are many, only some of them are compared."""
    if len(word) > MAX_COMPARED:
        return None
    import difflib  # late: only a mistyped word needs it

    compared = [name for name in islice(known, MAX_SEEN) if len(name) <= MAX_COMPARED]
    if len(compared) > MAX_CANDIDATES:
        alike = (name for name in compared if abs(len(name) - len(word)) < 3 and name[:1] == word[:1])
        compared = list(islice(alike, MAX_CANDIDATES))
    lowered = {name.lower(): name for name in compared}
    found = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def _report_value(file: File, path: KeyPath, error: ErrorDetails) -> None:
    key = dotted(path)
    kind = error["type"]
    value = error["input"]
    position = file.position(path)
    if kind in ("greater_than_equal", "less_than_equal"):
        file.problem(position, key, "is out of range", f"write {_EXPECTED['wave']}")
    elif kind == "string_pattern_mismatch":
        message, hint = _PATTERN_WORDS[str(path[0])]
        meant = make_environment_name(str(value)) if key == "environment" else None
        file.problem(position, key, message, hint if meant is None else f"write {meant}: {hint}")
    elif kind == "literal_error" and isinstance(value, str):
        known, message = _CHOICES[key]
        near = near_miss(value, known)
        file.problem(position, key, message, f"did you mean {near}?" if near else f"write {' or '.join(known)}")
    else:
        expected = _EXPECTED.get(key, _EXPECTED.get(str(path[0]), "") if len(path) == 1 else "")
        file.problem(position, key, f"is {describe(value)}", f"write {expected or _text_hint(value)}")


_CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "api.auth_scheme": (tuple(AuthScheme), "is not a known scheme"),
    "api.body": (tuple(BodyForm), "is not a known body form"),
}

_PATTERN_WORDS = {
    "environment": (
        "is not a valid name of an environment",
        "lower-case letters, digits, dot, underscore and hyphen, at most 63, a letter or digit first",
    ),
    "account_id": (
        "is not a valid id of an account",
        "letters, digits, dot, underscore and hyphen, as in 32133-31232-312321",
    ),
    "organization_id": (
        "is not a valid id of an organization",
        "letters, digits, dot, underscore and hyphen, as the organizationId in the token's payload",
    ),
    "token_env": ("is not a valid name of a variable", "the variable's name, never the token itself"),
}


def _text_hint(value: object) -> str:
    if isinstance(value, dict | list):
        return "a text"
    if isinstance(value, AmbiguousScalar) and value.what == "nothing":
        return "a text, or leave the key out"
    return "a text: put it in quotes"


def describe(value: object) -> str:
    """Return in words what YAML made of a value."""
    if isinstance(value, AmbiguousScalar):
        return value.what
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a mapping"


_TOKEN_KEYS = re.compile(
    r"(plug|access|api|auth|bearer|integrator|partner)?"
    r"(tokens?|authori[sz]ation|apikeys?|key|passwords?|passwd|secrets?|credentials?|bearer|jwt)",
)


@lru_cache(maxsize=4096)
def is_token_key(key: str) -> bool:
    """Return whether a key asks for a token. `key` alone does not: it is too common a name for a var."""
    plain = re.sub(r"[^a-z]", "", key.lower())
    return plain != "key" and _TOKEN_KEYS.fullmatch(plain) is not None


assert set(WebhooksPart.model_fields) == {str(event) for event in EVENTS}
