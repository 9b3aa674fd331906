"""Refused settings: the place of each fault, and its hint (docs/settings.md)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import InputError
from reconciler.model import Problem
from reconciler.settings.load import load_settings

CANARY = "eyJhbGciOi-canary"


def faults(folder: Path | str = "/nonexistent", environ: dict[str, str] | None = None, **flags: Any) -> list[Problem]:
    given = {name.replace("__", "."): value for name, value in flags.items()}
    with pytest.raises(InputError) as caught:
        load_settings(environ or {}, str(folder), given)
    return list(caught.value.problems)


def fault(*arguments: Any, **flags: Any) -> Problem:
    (found,) = faults(*arguments, **flags)
    return found


def each(path: str, *values: Any) -> list[tuple[str, Any]]:
    return [(path, value) for value in values]


WRONG: list[tuple[str, Any]] = [
    *[(path, value) for path in ("concurrency", "attempts", "max_failures") for value in ("0", "-1", "x", "", "1.5")],
    *[(path, True) for path in ("concurrency", "timeout", "rate_limit", "max_changed", "manifests")],
    ("concurrency", "1025"),
    ("concurrency", 8.0),
    ("concurrency", "1_0"),
    ("concurrency", "9" * 5000),
    ("attempts", "101"),
    *[(path, value) for path in ("timeout", "deadline", "lease", "max_age") for value in ("", "-1", "5 min", "1h30m")],
    *[(path, value) for path in ("timeout", "deadline", "max_age") for value in ("inf", "nan", "90S", "10w")],
    *each("timeout", "0", 0, float("inf"), float("nan"), 10**400, "999999999d", [1], {}),
    *each("rate_limit", "0", "-1", "nan", "x", "", 0, float("inf"), float("nan"), 10**400),
    *each("max_changed", "-1", "101%", "half", "", 2.5, -3),
    *each("manifests", "", " ", "a\nb", "a\0b", 3, []),
    *each("state", "", 3),
    ("tokens_file", ""),
    ("secrets_file", ""),
    ("api.allowed_hosts", ""),
    ("allow_local_receivers", "maybe"),
    ("allow_local_receivers", ""),
    ("allow_local_receivers", 1),
    ("api.auth_scheme", "basic"),
    ("api.auth_scheme", ""),
    *each("api.body", "Flat", "", 3),
    *each("api.base_url", "", "plug", "http://www.plugchat.com.br", "https://evil.test", 3),
    *[("api.base_url", f"https://www.plugchat.com.br{rest}") for rest in ("?x", "#x", ":0", "@x.test")],
    *each("partner.base_url", "", "https://evil.test", "ftp://api.plugchat.com.br"),
    *each("partner.token_env", "", "1X", "A-B", CANARY),
    *[(path, "") for path in ("secret_prefix", "token_prefix")],
    *each("policy.allowed_hosts", "", " ", "https://a.test", "*", "a.*.test", "[1", '[""]', 3, [3]),
    *each("policy.denied_hosts", "", "a,,b", "a.test/x", "a.test:443", {}),
    *each("policy", "a.test", "[]", "null", "{", ""),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_wrong_value_is_refused_at_its_flag(path: str, value: object) -> None:
    """There is one fault, at the flag, with a hint."""
    found = fault(**{path.replace(".", "__"): value})
    assert (found.file, found.key) == ("", "--" + path.replace(".", "-").replace("_", "-"))
    assert found.message
    assert found.hint


def test_a_fault_names_the_variable() -> None:
    """The whole name is shown, as the user must change it."""
    found = fault(environ={"RECONCILER_API__AUTH_SCHEME": "basic"})
    assert found == Problem.of("RECONCILER_API__AUTH_SCHEME", "is not a known scheme", "write raw or bearer")
    found = fault(environ={"RECONCILER_API__BODY": "values"})
    assert found == Problem.of("RECONCILER_API__BODY", "is not a known body form", "write flat or value")


def test_a_fault_within_a_groups_object_names_the_key() -> None:
    """RECONCILER_API itself is a setting: what is wrong is one key of its JSON."""
    environ = {"RECONCILER_API": '{"basurl": "x", "auth_scheme": "basic"}'}
    assert [(one.key, one.message) for one in faults(environ=environ)] == [
        ("RECONCILER_API.auth_scheme", "is not a known scheme"),
        ("RECONCILER_API.basurl", "is not a setting"),
    ]
    assert fault(policy='{"allow_hosts": []}').key == "--policy.allow_hosts"


def test_a_group_that_is_not_an_object_is_reported_once_beside_the_flags_of_its_settings() -> None:
    """A flag of one of its settings does not change that."""
    for value in ("a.test", "[]", "7"):
        found = fault(policy=value, policy__denied_hosts="*.ngrok-free.app")
        assert found.key == "--policy"


def test_a_file_that_is_nested_too_deeply_is_reported(tmp_path: Path) -> None:
    """The parser gives up on it."""
    (tmp_path / "reconciler.toml").write_text(f"attempts = {'[' * 20_000}{']' * 20_000}\n")
    found = fault(tmp_path)
    assert (found.file, found.message) == ("reconciler.toml", "can't be read: it is nested too deeply")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("# x\n\nattempts = 0\n", "attempts"),
        ("api.base_url = 3\n", "api.base_url"),
        ("x_attempts = 1\n", "x_attempts"),
        ("[api]\nauth_scheme = 'raw'\n  base_url = 3\n", "api.base_url"),
        ("attempts = 1\npolicy = {allowed_hosts = [], denied_hosts = 3}\n", "policy.denied_hosts"),
        ("[policy]\ndenied_hosts = [\n 'a.test',\n 3\n]\n", "policy.denied_hosts"),
        ("[api.x]\ny = 1\n", "api.x"),
        ("api = 3\n", "api"),
        ("# x\n[foo.bar]\ny = 1\n", "foo"),
        ("attempts = 1\nfoo.bar.y = 1\n", "foo"),
        ("[api]\nauth_scheme = 'raw'\n[api.foo.bar]\n", "api.foo"),
        ("timeout = 1979-05-27\n", "timeout"),
        ("TIMEOUT = 3\n", "TIMEOUT"),
    ],
)
def test_a_fault_names_file_and_key(tmp_path: Path, text: str, key: str) -> None:
    """The parser gives no positions of keys; settings are a few lines, in which a key is found at once."""
    (tmp_path / "reconciler.toml").write_text(text)
    found = fault(tmp_path)
    assert (found.file, found.line, found.column, found.key) == ("reconciler.toml", 0, 0, key)
    assert str(found).startswith(f"reconciler.toml: {key}: ")


def test_a_key_with_a_dot_in_its_name_is_not_a_setting(tmp_path: Path) -> None:
    """In quotes, the dot is part of the name; other faults are still reported."""
    (tmp_path / "reconciler.toml").write_text("'api.base_url' = 'x'\nattempts = 0\n")
    assert [problem.key for problem in faults(tmp_path)] == ["api.base_url", "attempts"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "attempts = " + "9" * 5000,
        "attempts = 0\n# " + " " * 200_000 + "x\n" + " " * 200_000,
        "attempts = 0\n[" + " " * 200_000 + "\n",
        "a" + ".a" * 100_000 + " = 1",
        "'x.y'" + ".'x,y'" * 100_000 + " = 1",
        '"' + '\\"' * 100_000 + "." * 200,
        "\n".join(f"k{number} = 1" for number in range(60_000)),
        "#" * (1024 * 1024 + 1),
    ],
    ids=["digits", "blanks", "blanks in a table", "dots", "quoted dots", "an open text", "keys", "length"],
)
def test_a_flood_is_refused_in_seconds(tmp_path: Path, text: str) -> None:
    """Examples are a number that Python refuses, and texts that took quadratic time."""
    (tmp_path / "reconciler.toml").write_text(text)
    begun = time.process_time()
    assert {problem.file for problem in faults(tmp_path)} == {"reconciler.toml"}
    assert time.process_time() - begun < 30


def test_a_long_line_of_another_tools_settings_is_accepted(tmp_path: Path) -> None:
    """A project's other tables are in the same file; a hundred versions in a line are not a key."""
    versions = ", ".join(f'"package{number}>=1.{number}.0"' for number in range(200))
    text = f"[project]\ndependencies = [{versions}]\n# {'.' * 300}\n[tool.reconciler]\nattempts = 7\n"
    (tmp_path / "pyproject.toml").write_text(text)
    assert load_settings({}, str(tmp_path), {}).settings.attempts == 7


def test_a_token_among_the_allowed_hosts_is_not_repeated() -> None:
    """The list of allowed hosts in the message leaves it out."""
    found = faults(environ={"RECONCILER_API__ALLOWED_HOSTS": "plug.acme.com.br,canary+token"})
    assert "plug.acme.com.br" in str(found)
    assert "canary" not in str(found)


def test_a_fault_in_pyproject_names_the_whole_key(tmp_path: Path) -> None:
    """The table's name is part of it."""
    (tmp_path / "pyproject.toml").write_text("[tool.reconciler]\nattempts = 1\n[tool.reconciler.api]\nbase_url = 3\n")
    found = fault(tmp_path)
    assert (found.file, found.key) == ("pyproject.toml", "tool.reconciler.api.base_url")


@pytest.mark.parametrize("name", ["reconciler.toml", "pyproject.toml"])
def test_broken_toml_names_line_and_column(tmp_path: Path, name: str) -> None:
    """A broken file does not count as one without settings."""
    (tmp_path / name).write_text(f"attempts = 1\nlease = {CANARY}\n")
    found = fault(tmp_path)
    assert (found.file, found.line) == (name, 2)
    assert found.column > 1
    assert str(found).startswith(f"{name}:2:{found.column}: is not valid TOML: ")
    assert found.message.startswith("is not valid TOML")


@pytest.mark.posix
@pytest.mark.parametrize("name", ["reconciler.toml", "pyproject.toml"])
def test_a_file_that_can_not_be_read_is_an_error(tmp_path: Path, name: str) -> None:
    """A folder, a link to nowhere, another encoding."""
    (tmp_path / name).mkdir()
    assert fault(tmp_path).message == "can't be read: Is a directory"
    (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to("nowhere")
    assert "link to nowhere" in fault(tmp_path).message
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(b"manifests = '\xff'\n")
    assert "UTF-8" in fault(tmp_path).message


def test_settings_in_both_files_are_an_error(tmp_path: Path) -> None:
    """Even an empty table counts, as it is unclear which file is meant."""
    (tmp_path / "reconciler.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.reconciler]\n")
    found = fault(tmp_path)
    assert (found.file, found.key, found.hint) == ("pyproject.toml", "tool.reconciler", "keep one of them")


def test_the_table_in_pyproject_must_be_a_table(tmp_path: Path) -> None:
    """Another value is refused."""
    (tmp_path / "pyproject.toml").write_text("[tool]\nreconciler = 3\n")
    found = fault(tmp_path)
    assert (found.file, found.key, found.message) == ("pyproject.toml", "tool.reconciler", "is not a table")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("RECONCILER_API_BASE_URL", "RECONCILER_API__BASE_URL"),
        ("RECONCILER_CONCURENCY", "RECONCILER_CONCURRENCY"),
        ("RECONCILER_State", "RECONCILER_STATE"),
        ("RECONCILER_API__BASEURL", "RECONCILER_API__BASE_URL"),
        ("RECONCILER_state", "RECONCILER_STATE"),
        ("RECONCILER_api__base_url", "RECONCILER_API__BASE_URL"),
    ],
)
def test_an_unknown_variable_gets_a_near_miss(name: str, near: str) -> None:
    """A mistyped name must not silently keep the default."""
    assert fault(environ={name: CANARY}) == Problem.of(name, "is not a setting", f"did you mean {near}?")
    assert fault(environ={name: ""}).key == name


@pytest.mark.parametrize(("timeout", "least"), [("99999999", "100000179"), ("400d", "34560180"), ("900.5", "1081")])
def test_the_least_lease_can_be_pasted(timeout: str, least: str) -> None:
    """It is a whole number without an exponent, and not too small."""
    assert fault(timeout=timeout).hint == f"write a lease of {least} or more"
    load_settings({}, "/nonexistent", {"timeout": timeout, "lease": least})


def test_a_long_name_or_value_is_not_repeated_whole(tmp_path: Path) -> None:
    """A message with a megabyte hides all others."""
    assert len(str(fault(environ={f"RECONCILER_{'A' * 100_000}": "x"}))) < 200
    (tmp_path / "reconciler.toml").write_text(f'state = "{"x" * 4_097}"\n')
    assert fault(tmp_path).message == "is longer than 4,096 characters"
    hosts = ", ".join(f'"h{number}.acme.com.br"' for number in range(2_000))
    (tmp_path / "reconciler.toml").write_text(f'[api]\nbase_url = "https://x.example.org"\nallowed_hosts = [{hosts}]\n')
    assert "h4.acme.com.br and 1,995 more" in fault(tmp_path).hint


@pytest.mark.parametrize("name", ["RECONCILER_ZZZ", "RECONCILER_", "RECONCILER_X"])
def test_a_variable_that_is_like_no_other_gets_no_near_miss(name: str) -> None:
    """The common prefix does not count as similar: the hint RECONCILER_API would mislead."""
    assert fault(environ={name: "x"}).hint == "`reconciler plan --help` lists all settings"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("TIMEOUT = 1\n", "timeout"),
        ("rate-limit = 1\n", "rate_limit"),
        ("base_url = 'x'\n", "api.base_url"),
        ("[api]\nallowed_host = []\n", "api.allowed_hosts"),
        ("[polcy]\n", "policy"),
    ],
)
def test_an_unknown_key_gets_a_near_miss(tmp_path: Path, text: str, near: str) -> None:
    """All settings are compared, of every table."""
    (tmp_path / "reconciler.toml").write_text(text)
    assert fault(tmp_path).hint == f"did you mean {near}?"


def test_a_token_in_the_settings_is_refused_with_its_right_place(tmp_path: Path) -> None:
    """Neither a RECONCILER_ variable nor the file may hold one, and it is not repeated."""
    (tmp_path / "reconciler.toml").write_text(f"[api]\ntoken = '{CANARY}'\n")
    found = faults(tmp_path, {"RECONCILER_TOKEN": CANARY, "RECONCILER_PARTNER__TOKEN": CANARY})
    assert len(found) == 3
    assert {problem.hint for problem in found} == {
        "a token comes from the variable that token_env names, or from tokens_file"
    }


def test_a_lease_must_outlast_deadline_and_timeout() -> None:
    """It is at least deadline + timeout + 60 s; the fault is at the one of the three that was given."""
    assert fault(lease="209").key == "--lease"
    assert fault(deadline="15m").key == "--deadline"
    assert fault(timeout="15m", environ={"RECONCILER_DEADLINE": "2m"}).key == "RECONCILER_DEADLINE"
    assert fault(timeout="15m").hint == "write a lease of 1080 or more"
    assert fault(deadline="100d").hint == "write a lease of 8640090 or more"
    load_settings({}, "/nonexistent", {"lease": "210"})


def test_a_base_url_must_be_on_an_allowed_host() -> None:
    """The default is checked too; loopback is always allowed, also with plain http."""
    assert fault(api__allowed_hosts="other.test").key == "api.base_url"
    assert fault(api__allowed_hosts="[]").key == "api.base_url"
    load_settings({}, "/nonexistent", {"api.allowed_hosts": "[]", "api.base_url": "http://127.0.0.1:8080/x"})


def test_the_partner_url_obeys_the_list_where_it_is_set() -> None:
    """Its default is not checked, as most users never need it."""
    hosts = {"api.allowed_hosts": "a.test", "api.base_url": "https://a.test"}
    load_settings({}, "/nonexistent", hosts)
    with pytest.raises(InputError) as caught:
        load_settings({}, "/nonexistent", {**hosts, "partner.base_url": "https://api.plugchat.com.br"})
    assert [problem.key for problem in caught.value.problems] == ["--partner-base-url"]


def test_an_allowed_host_is_a_whole_host() -> None:
    """Tokens go to named hosts; a pattern would never match here and mislead."""
    for written in ("*.plugchat.com.br", "https://www.plugchat.com.br", "www.plugchat.com.br:443"):
        found = faults(api__allowed_hosts=f"www.plugchat.com.br,{written}")
        assert [problem.key for problem in found] == ["--api-allowed-hosts"]


def test_all_faults_of_all_sources_come_in_one_run(tmp_path: Path) -> None:
    """Wrong values, unknown names and conflicting settings are each reported once, at their places."""
    (tmp_path / "reconciler.toml").write_text(
        "atempts = 3\n[policy]\ndenied_hosts = ['*']\n[partner]\ntoken_env = ''\n"
    )
    environ = {"RECONCILER_TIMEOUT": "soon", "RECONCILER_STAET": "x", "RECONCILER_PARTNER__BASE_URL": "https://x.test"}
    found = faults(tmp_path, environ, concurrency="0", api__base_url="ftp://x.test")
    assert [(problem.file, problem.line, problem.key) for problem in found] == [
        ("", 0, "--api-base-url"),
        ("", 0, "--concurrency"),
        ("", 0, "RECONCILER_PARTNER__BASE_URL"),
        ("", 0, "RECONCILER_STAET"),
        ("", 0, "RECONCILER_TIMEOUT"),
        ("reconciler.toml", 0, "atempts"),
        ("reconciler.toml", 0, "partner.token_env"),
        ("reconciler.toml", 0, "policy.denied_hosts"),
    ]


def test_no_fault_repeats_a_value(tmp_path: Path) -> None:
    """A token in the wrong place must not reach a log."""
    (tmp_path / "reconciler.toml").write_text(f"token = '{CANARY}'\nlease = '{CANARY}'\napi = '{CANARY}'\n")
    environ = {
        f"RECONCILER_{name}": CANARY for name in ("ATTEMPTS", "POLICY", "PARTNER__TOKEN_ENV", "PARTNER", "TOKEN")
    }
    environ["RECONCILER_MAX_AGE"] = environ["RECONCILER_RATE_LIMIT"] = CANARY
    with pytest.raises(InputError) as caught:
        flags = {"max_changed": CANARY, "allow_local_receivers": CANARY, "concurrency": CANARY}
        load_settings(environ, str(tmp_path), flags)
    assert len(caught.value.problems) >= 10
    assert CANARY not in str(caught.value) + repr(caught.value.problems)
    assert caught.value.__context__ is None
