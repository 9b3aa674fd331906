"""Where settings come from, and what is wrong with them (CONTRACT §3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.duration import parse_duration
from reconciler.core.guards import MaxChanged
from reconciler.errors import InputError
from reconciler.setting_flags import SETTING_FLAGS
from reconciler.settings import Settings, load_settings


def faults(folder: Path, environ: dict[str, str] | None = None, flags: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_settings(environ or {}, str(folder), flags or {})
    return [str(problem) for problem in caught.value.problems]


def test_the_flags_are_the_model() -> None:
    """The table that `--help` shows without pydantic has every setting, and no other."""
    paths = set()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        paths |= {f"{name}.{key}" for key in inner} if inner else {name}
    assert {flag.path for flag in SETTING_FLAGS} == paths


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    """Each source hides the next."""
    assert load_settings({}, str(tmp_path), {}).api.base_url == "https://www.plugchat.com.br"
    (tmp_path / "reconciler.toml").write_text('concurrency = 3\n[api]\nbase_url = "http://127.0.0.1:3"\n')
    environ = {"RECONCILER_API__BASE_URL": "http://127.0.0.1:2"}
    flags: dict[str, object] = {"api.base_url": "http://127.0.0.1:1"}
    assert load_settings({}, str(tmp_path), {}).api.base_url == "http://127.0.0.1:3"
    assert load_settings(environ, str(tmp_path), {}).api.base_url == "http://127.0.0.1:2"
    assert load_settings(environ, str(tmp_path), flags).api.base_url == "http://127.0.0.1:1"
    assert load_settings(environ, str(tmp_path), flags).concurrency == 3


def test_pyproject_holds_settings_too(tmp_path: Path) -> None:
    """Under [tool.reconciler]; other tools' tables are theirs."""
    (tmp_path / "pyproject.toml").write_text('[tool.other]\nx = 1\n[tool.reconciler]\nmax_changed = "20%"\n')
    assert load_settings({}, str(tmp_path), {}).max_changed == MaxChanged(20, percent=True)


def test_both_files_are_an_error(tmp_path: Path) -> None:
    """Nobody could tell which one holds."""
    (tmp_path / "pyproject.toml").write_text("[tool.reconciler]\nattempts = 1\n")
    (tmp_path / "reconciler.toml").write_text("attempts = 2\n")
    assert faults(tmp_path) == [
        "pyproject.toml:1:1: tool.reconciler: settings stand here and in reconciler.toml too (keep one of them)"
    ]


def test_unknown_names_are_errors_with_a_near_miss(tmp_path: Path) -> None:
    """Of a file, of a group in it, of a variable: all in one run."""
    (tmp_path / "reconciler.toml").write_text('concurency = 3\n[api]\nbaseurl = "x"\n')
    assert faults(tmp_path, {"RECONCILER_MAX_FAILURE": "3"}) == [
        "RECONCILER_MAX_FAILURE: is no setting (did you mean RECONCILER_MAX_FAILURES?)",
        "reconciler.toml:1:1: concurency: is no setting (did you mean concurrency?)",
        "reconciler.toml:3:1: api.baseurl: is no setting (did you mean api.base_url?)",
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("concurrency", "0"),
        ("concurrency", "x"),
        ("concurrency", "1.5"),
        ("rate_limit", "0"),
        ("rate_limit", "-1"),
        ("timeout", "5 parsecs"),
        ("timeout", "0"),
        ("attempts", "101"),
        ("max_age", "-1"),
        ("max_changed", "150%"),
        ("max_failures", "0"),
        ("api.auth_scheme", "basic"),
        ("api.base_url", "http://www.plugchat.com.br"),
        ("api.base_url", "https://www.plugchat.com.br@evil.com"),
        ("api.base_url", "https://evil.com"),
        ("api.base_url", "https://www.plugchat.com.br/#x"),
        ("partner.base_url", "https://evil.com"),
        ("partner.token_env", "A B"),
        ("policy.allowed_hosts", "*.a.com,*"),
        ("secret_prefix", ""),
        ("manifests", ""),
        ("allow_local_receivers", "maybe"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_source(tmp_path: Path, path: str, value: str) -> None:
    """The variable, or the flag, as it was written."""
    variable = next(flag.variable for flag in SETTING_FLAGS if flag.path == path)
    name = next(flag.name for flag in SETTING_FLAGS if flag.path == path)
    [by_variable] = faults(tmp_path, {variable: value})
    [by_flag] = faults(tmp_path, flags={path: value})
    assert by_variable.startswith(f"{variable}: ")
    assert by_flag.startswith(f"{name}: ")


def test_a_lease_shorter_than_a_run_is_refused(tmp_path: Path) -> None:
    """At least deadline + timeout + 60 s."""
    assert faults(tmp_path, {"RECONCILER_LEASE": "209"}) == [
        "RECONCILER_LEASE: the lease of 209 s is too short (write at least deadline + timeout + 60 s: 210)"
    ]
    assert load_settings({"RECONCILER_LEASE": "210"}, str(tmp_path), {}).lease == 210


def test_lists_are_written_with_commas_or_as_json(tmp_path: Path) -> None:
    """An empty text is an empty list, and an empty allowed list allows nothing."""
    for text in ("a.com, b.com", '["a.com", "b.com"]'):
        settings = load_settings({"RECONCILER_POLICY__ALLOWED_HOSTS": text}, str(tmp_path), {})
        assert settings.policy.allowed_hosts == ("a.com", "b.com")
    assert load_settings({"RECONCILER_POLICY__ALLOWED_HOSTS": ""}, str(tmp_path), {}).policy.allowed_hosts == ()
    assert load_settings({}, str(tmp_path), {}).policy.allowed_hosts is None


def test_a_broken_file_says_where(tmp_path: Path) -> None:
    """Line and column of the TOML."""
    (tmp_path / "reconciler.toml").write_text("attempts = 1\nconcurrency = \n")
    assert faults(tmp_path)[0].startswith("reconciler.toml:2:15: is no TOML: ")


@given(st.integers(1, 10_000), st.sampled_from(["s", "m", "h", "d", ""]))
def test_a_duration_is_a_number_and_a_unit(amount: int, unit: str) -> None:
    """Seconds without one."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}[unit]
    assert parse_duration(f"{amount}{unit}") == amount * seconds


@pytest.mark.parametrize("value", ["", "1w", "1h30m", "-5", "s", "1e3", True, None, float("nan"), float("inf"), [1]])
def test_anything_else_is_no_duration(value: object) -> None:
    """With how to write one."""
    with pytest.raises(ValueError, match="90s"):
        parse_duration(value)
