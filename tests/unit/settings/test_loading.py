"""The precedence of flag, variable, file and default, and how each is read (docs/settings.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.guards import MaxChanged
from reconciler.errors import InputError
from reconciler.model import AuthScheme, BodyForm
from reconciler.settings.fields import Settings
from reconciler.settings.flags import SETTING_FLAGS, SettingFlag
from reconciler.settings.load import load_settings

NOWHERE = "/nonexistent"


def load(folder: Path | str = NOWHERE, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(environ or {}, str(folder), given).settings


def test_every_setting_has_its_default_if_nothing_is_given() -> None:
    assert load().model_dump() == {
        "manifests": "manifests",
        "state": ".reconciler/state",
        "api": {
            "base_url": "https://www.plugchat.com.br",
            "auth_scheme": AuthScheme.RAW,
            "body": BodyForm.FLAT,
            "allowed_hosts": ("www.plugchat.com.br", "app.plugchat.com.br", "api.plugchat.com.br"),
        },
        "partner": {"base_url": "https://api.plugchat.com.br", "token_env": "PLUG_PARTNER_TOKEN"},
        "concurrency": 8,
        "rate_limit": None,
        "timeout": 30.0,
        "attempts": 4,
        "deadline": 120.0,
        "lease": 900.0,
        "max_age": None,
        "max_changed": None,
        "token_warning": 14 * 86_400.0,
        "max_failures": 10,
        "tokens_file": None,
        "secrets_file": None,
        "allow_local_receivers": False,
        "policy": {"allowed_hosts": None, "denied_hosts": ()},
        "secret_prefix": "PLUG_SECRET_",
        "token_prefix": "PLUG_TOKEN",
    }


def test_a_flag_beats_a_variable_and_a_variable_the_file(tmp_path: Path) -> None:
    """The precedence is decided for each setting."""
    (tmp_path / "reconciler.toml").write_text("attempts = 1\nconcurrency = 1\nmax_failures = 1\n")
    environ = {"RECONCILER_ATTEMPTS": "2", "RECONCILER_CONCURRENCY": "2"}
    settings = load(tmp_path, environ, attempts="3")
    assert (settings.attempts, settings.concurrency, settings.max_failures) == (3, 2, 1)


def test_settings_of_one_group_come_from_all_sources(tmp_path: Path) -> None:
    """A group is merged, not replaced."""
    (tmp_path / "reconciler.toml").write_text(
        '[api]\nbase_url = "https://file.test/x"\nauth_scheme = "bearer"\nbody = "value"\n'
        'allowed_hosts = ["file.test"]\n'
    )
    environ = {"RECONCILER_API__ALLOWED_HOSTS": "variable.test", "RECONCILER_API__BASE_URL": "https://variable.test"}
    settings = load(tmp_path, environ, api__base_url="https://variable.test/flag")
    assert settings.api.model_dump() == {
        "base_url": "https://variable.test/flag",
        "auth_scheme": AuthScheme.BEARER,
        "body": BodyForm.VALUE,
        "allowed_hosts": ("variable.test",),
    }


def test_pyproject_holds_settings_too(tmp_path: Path) -> None:
    """[tool.reconciler] replaces reconciler.toml; tables of other tools are ignored."""
    (tmp_path / "pyproject.toml").write_text('[tool.other]\nx = 1\n[tool.reconciler]\ntimeout = "15s"\n')
    assert load(tmp_path).timeout == 15.0


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.other]\n", "tool = 3\n"])
def test_a_pyproject_without_our_table_is_ignored(tmp_path: Path, text: str) -> None:
    """Most projects have a pyproject.toml, also beside our file."""
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "reconciler.toml").write_text("attempts = 2\n")
    assert load(tmp_path).attempts == 2


def test_a_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    """Editors on Windows write both."""
    (tmp_path / "reconciler.toml").write_bytes(b"\xef\xbb\xbfattempts = 2\r\n[policy]\r\ndenied_hosts = []\r\n")
    assert load(tmp_path).attempts == 2


def test_the_environment_of_the_process_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the environment that the caller passes counts."""
    monkeypatch.setenv("RECONCILER_ATTEMPTS", "9")
    assert load().attempts == 4


def test_a_variable_in_lower_case_is_ignored() -> None:
    """The names are upper case; others are neither read nor refused."""
    assert load(environ={"reconciler_attempts": "9", "reconciler_x": "9"}).attempts == 4


@pytest.mark.parametrize("variable", [flag.variable for flag in SETTING_FLAGS] + ["RECONCILER_API"])
def test_an_empty_variable_is_not_given(tmp_path: Path, variable: str) -> None:
    """GitHub Actions can't leave a variable out. The file's value counts, else the default."""
    assert load(environ={variable: ""}) == load()
    (tmp_path / "reconciler.toml").write_text(
        "attempts = 7\nstate = 'states'\n[policy]\nallowed_hosts = ['a.test']\ndenied_hosts = ['b.test']\n"
    )
    assert load(tmp_path, {variable: ""}) == load(tmp_path)


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("a.test", ("a.test",)),
        ("a.test, b.test", ("a.test", "b.test")),
        ('["a.test", "b.test"]', ("a.test", "b.test")),
        ("[]", ()),
        (" [] ", ()),
    ],
)
def test_a_list_is_comma_separated_or_json(written: str, hosts: tuple[str, ...]) -> None:
    """Variables and flags have the same form; an empty list allows nothing."""
    assert load(environ={"RECONCILER_POLICY__ALLOWED_HOSTS": written}).policy.allowed_hosts == hosts
    assert load(policy__allowed_hosts=written).policy.allowed_hosts == hosts
    assert load(policy__denied_hosts=written).policy.denied_hosts == hosts


def test_a_group_can_be_given_as_json() -> None:
    """`policy` is a setting, so it has a variable and a flag of its name; the nearer name wins."""
    policy = json.dumps({"allowed_hosts": ["a.test"], "denied_hosts": ["b.test"]})
    expected = {"allowed_hosts": ("a.test",), "denied_hosts": ("b.test",)}
    assert load(environ={"RECONCILER_POLICY": policy}).policy.model_dump() == expected
    assert load(policy=policy).policy.model_dump() == expected
    assert load(policy=policy, policy__denied_hosts="c.test").policy.denied_hosts == ("c.test",)
    environ = {"RECONCILER_POLICY": policy, "RECONCILER_POLICY__DENIED_HOSTS": "c.test"}
    assert load(environ=environ).policy.denied_hosts == ("c.test",)


def test_an_empty_variable_leaves_the_files_policy_on_and_an_empty_list_takes_it_back(tmp_path: Path) -> None:
    """GitHub passes an unset variable as an empty text, which must not allow a denied host."""
    (tmp_path / "reconciler.toml").write_text('[policy]\nallowed_hosts = ["a.test"]\ndenied_hosts = ["b.test"]\n')
    names = ("RECONCILER_POLICY", "RECONCILER_POLICY__ALLOWED_HOSTS", "RECONCILER_POLICY__DENIED_HOSTS")
    policy = load(tmp_path, dict.fromkeys(names, "")).policy
    assert (policy.allowed_hosts, policy.denied_hosts) == (("a.test",), ("b.test",))
    assert load(tmp_path, {"RECONCILER_POLICY__DENIED_HOSTS": "[]"}).policy.denied_hosts == ()


def test_none_takes_back_what_the_file_says(tmp_path: Path) -> None:
    """A setting whose default is none can be set to it again."""
    (tmp_path / "reconciler.toml").write_text('rate_limit = 5\nmax_age = "7d"\nmax_changed = 3\n')
    assert load(tmp_path).rate_limit == 5.0
    environ = {"RECONCILER_MAX_AGE": "none"}
    settings = load(tmp_path, environ, rate_limit="none", max_changed="none")
    assert (settings.rate_limit, settings.max_age, settings.max_changed) == (None, None, None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("20", MaxChanged(20, percent=False)), ("100%", MaxChanged(100, percent=True)), (0, MaxChanged(0, percent=False))],
)
def test_max_changed_is_a_count_or_a_percentage(written: object, expected: MaxChanged) -> None:
    """It has the form that the guard reads."""
    assert load(max_changed=written).max_changed == expected


@pytest.mark.parametrize(("written", "value"), [("true", True), ("0", False), ("No", False), (True, True)])
def test_a_switch_is_true_or_false(written: object, value: bool) -> None:
    """The flag gives a boolean, a variable a text."""
    assert load(allow_local_receivers=written).allow_local_receivers is value


@given(st.integers(1, 800_000), st.sampled_from([("", 1), ("s", 1), ("m", 60), ("h", 3600)]))
def test_a_duration_is_the_same_in_each_form(amount: int, unit: tuple[str, int]) -> None:
    """Number and unit, or seconds, as text or number."""
    suffix, seconds = unit
    assert load(lease="9999999m", max_age=f"{amount}{suffix}").max_age == amount * seconds
    assert load(max_age=amount * seconds).max_age == float(amount * seconds)


@given(st.text())
def test_no_text_makes_a_duration_fail_otherwise_than_as_input(text: str) -> None:
    """Either seconds within a hundred years, or an input error."""
    try:
        settings = load(max_age=text)
    except InputError as error:
        assert [problem.key for problem in error.problems] == ["--max-age"]
    else:
        assert settings.max_age is None or 0 <= settings.max_age <= 36_500 * 86_400


def test_the_table_of_flags_equals_the_model() -> None:
    """Every setting has a flag of its name, with the help of its field."""
    found: dict[str, tuple[str | None, bool]] = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        if hasattr(default, "model_fields_set"):
            for inner, inner_field in type(default).model_fields.items():
                found[f"{name}.{inner}"] = (inner_field.description, False)
        if field.description is not None:
            found[name] = (field.description, field.annotation is bool)
    assert found == {flag.path: (flag.help, flag.is_bool) for flag in SETTING_FLAGS}


IN_WORDS = ("api.allowed_hosts", "max_changed", "policy.allowed_hosts", "policy.denied_hosts")


@pytest.mark.parametrize("flag", [flag for flag in SETTING_FLAGS if flag.default and flag.path not in IN_WORDS])
def test_the_help_shows_the_default(flag: SettingFlag) -> None:
    """The default that the help shows, given as a value, changes nothing."""
    assert load_settings({}, NOWHERE, {flag.path: flag.default}).settings == load()


def find_documented() -> dict[str, str]:
    """Return the defaults in the table of docs/settings.md, as they are written in a flag."""
    page = (Path(__file__).parents[3] / "docs/settings.md").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for setting, default in re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", page, re.MULTILINE):
        names = setting.replace("`", "").split(", ")
        plain = default.replace("`", "").replace(" days", "d").replace(" s", "s").replace(" %", "%")
        found |= zip(names, plain.split(", ", len(names) - 1), strict=True)
    return found


def test_the_defaults_are_those_of_the_settings_page() -> None:
    """The help's defaults are compared with the program above."""
    found = find_documented()
    assert found.pop("api.allowed_hosts") == "www., app. and api.plugchat.com.br"
    others = [flag for flag in SETTING_FLAGS if flag.path == "max_changed" or flag.path not in IN_WORDS]
    assert found == {flag.path: flag.default or "none" for flag in others}


def test_names_are_made_of_the_path() -> None:
    """Flags and variables follow one rule."""
    flag = next(flag for flag in SETTING_FLAGS if flag.path == "api.base_url")
    assert (flag.name, flag.variable) == ("--api-base-url", "RECONCILER_API__BASE_URL")


def test_settings_can_not_be_changed() -> None:
    """The checked settings are those that the run uses."""
    with pytest.raises(ValueError, match="frozen"):
        load().attempts = 5  # type: ignore[misc]
