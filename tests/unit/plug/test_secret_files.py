"""The files of tokens and secrets: access, content, and precedence (docs/settings.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.receivers import find_receivers
from reconciler.errors import InputError
from reconciler.model import EVENTS
from reconciler.plug.credentials import (
    EnvironCredentials,
    SecretFiles,
    SecretNames,
    find_hidden,
    find_known_tokens,
    read_secret_files,
)
from reconciler.plug.secret import Secret
from reconciler.plug.secret_files import (
    MAX_BYTES,
    SecretValues,
    find_access_fault,
    load_secrets_file,
    load_tokens_file,
)
from tests.fakes import make_desired

CANARY = "canary-secret-0123456789"
NAMES = SecretNames("PLUG_TOKEN", "PLUG_SECRET_", "PLUG_PARTNER_TOKEN")
LOADERS = [(load_tokens_file, "tokens_file"), (load_secrets_file, "secrets_file")]
needs_posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have an owner and a mode there")
each_loader = pytest.mark.parametrize(("load", "key"), LOADERS)
Load = Callable[[Path, str], Any]


def write(folder: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def refusal(load: Load, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path, "file.yaml")
    assert CANARY not in str(caught.value)
    return str(caught.value)


# --- the file ----------------------------------------------------------------------------------------


@each_loader
@needs_posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, load: Load, key: str, mode: int) -> None:
    """Any permission of group or others counts."""
    found = refusal(load, write(tmp_path, f"A: {CANARY}", mode))
    assert found == f"file.yaml:1:1: {key}: group or others may use it (chmod 600 file.yaml)"


@each_loader
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path, load: Load, key: str) -> None:
    """That user could replace what is read."""
    path = write(tmp_path, f"A: {CANARY}")
    os.chown(path, 12345, 12345)
    assert refusal(load, path).startswith(f"file.yaml:1:1: {key}: belongs to another user (")


def test_a_file_must_belong_to_the_user_or_to_root() -> None:
    assert find_access_fault(0o100600, 1000, 1000, "f") is None
    assert find_access_fault(0o100400, 0, 1000, "f") is None
    for owner, user in ((1001, 1000), (1000, 0)):
        fault = find_access_fault(0o100600, owner, user, "f")
        assert fault is not None
        assert fault.message == "belongs to another user"


@each_loader
@needs_posix
def test_a_pipe_is_refused_with_the_way(tmp_path: Path, load: Load, key: str) -> None:
    """`sops exec-file` gives one by default. Nothing waits for its writer."""
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    found = refusal(load, path)
    assert found.startswith(f"file.yaml:1:1: {key}: is a pipe, which can be read only once (")
    assert "sops exec-file --no-fifo" in found
    reader, writer = os.pipe()
    os.close(writer)
    assert "is a pipe" in refusal(load, Path(f"/dev/fd/{reader}"))
    os.close(reader)


@each_loader
def test_what_can_not_be_read_is_named(tmp_path: Path, load: Load, key: str) -> None:
    assert f"set `{key}` to where it is" in refusal(load, tmp_path / "missing")
    assert "can't be read" in refusal(load, tmp_path)
    assert "is larger than 16 MiB" in refusal(load, write(tmp_path, b"#" * (MAX_BYTES + 1)))
    assert "is UTF-16" in refusal(load, write(tmp_path, f"A: {CANARY}".encode("utf-16")))
    assert "is not UTF-8" in refusal(load, write(tmp_path, b"A: \xe7"))


# --- the content -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "PLUG_SECRET_A: general\nloja: {PLUG_SECRET_A: own}\nmatriz: {}\n",
        '\ufeff{"PLUG_SECRET_A": "general", "loja": {"PLUG_SECRET_A": "own"}, "matriz": {}}',
    ],
)
def test_a_secrets_file_has_names_and_environments(tmp_path: Path, text: str) -> None:
    """Both in one file: the environment's own value comes first."""
    values = load_secrets_file(write(tmp_path, text), "file.yaml")
    assert values.find("PLUG_SECRET_A", "loja") == Secret("own")
    assert values.find("PLUG_SECRET_A", "matriz") == values.find("PLUG_SECRET_A", None) == Secret("general")
    assert values.find("PLUG_SECRET_B", "loja") is None
    assert values.find("loja", None) is None
    assert {value.reveal() for value in values.all_values()} == {"general", "own"}


@each_loader
@pytest.mark.parametrize(
    "text",
    [
        "",
        CANARY,
        f"[{CANARY}]",
        f"A: [{CANARY}]",
        "A: 123456",
        "A: null",
        "A: ''",
        f"A: {CANARY}\nA: {CANARY}",
        f"{{A: {CANARY}",
        f"? [{CANARY}]\n: b",
        f"A: &a {{X: {CANARY}}}\nB: {{<<: *a}}",
        f"A: {{X: {{Y: {CANARY}}}}}",
        f"A: {{X: [{CANARY}]}}",
        f"A: {{X: 1, Y: {CANARY}}}",
        f"A: {{X: {CANARY}, X: {CANARY}}}",
        f"A: {CANARY}\nA: {{X: {CANARY}}}",
        "A: " + "[" * 40 + CANARY + "]" * 40,
    ],
)
def test_another_form_is_refused_without_repeating_it(tmp_path: Path, load: Load, key: str, text: str) -> None:
    found = refusal(load, write(tmp_path, text))
    assert f": {key}: " in found
    assert found.startswith("file.yaml:")


def test_a_tokens_file_has_no_second_level(tmp_path: Path) -> None:
    assert "a token is not a text" in refusal(load_tokens_file, write(tmp_path, f"loja: {{X: {CANARY}}}"))


@pytest.mark.parametrize(
    "text", [f"production: {CANARY}\n", f'{{"production": "{CANARY}"}}', f"\ufeffproduction: '{CANARY}'\r\n"]
)
def test_a_tokens_file_is_yaml_or_json(tmp_path: Path, text: str) -> None:
    """It maps environments to tokens."""
    assert load_tokens_file(write(tmp_path, text), "file.yaml") == {"production": Secret(CANARY)}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_tokens_file_of_powershell_is_named(tmp_path: Path, encoding: str) -> None:
    """Its > writes UTF-16; "neither YAML nor JSON" would send the user the wrong way."""
    mark = "" if encoding == "utf-16" else "\ufeff"
    path = write(tmp_path, f"{mark}production: {CANARY}\r\n".encode(encoding))
    with pytest.raises(InputError) as caught:
        load_tokens_file(path, "file.yaml")
    assert str(caught.value) == (
        "file.yaml:1:1: tokens_file: is UTF-16, as PowerShell's > writes it "
        "(store it as UTF-8: in PowerShell, with Set-Content -Encoding utf8)"
    )


def test_a_tokens_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    """Its text is not repeated."""
    path = write(tmp_path, b"produ\xe7\xe3o: x\n")
    with pytest.raises(InputError, match=r"^file.yaml:1:1: tokens_file: is not UTF-8 \(store it as UTF-8\)$"):
        load_tokens_file(path, "file.yaml")


def test_what_only_looks_nested_is_read(tmp_path: Path) -> None:
    """Brackets and dashes may be in a comment or a token; real nesting is reported with its line."""
    token = "canary-" + "[{" * 40
    text = f"# {'- ' * 40}\nproduction: '{token}'\n"
    assert load_tokens_file(write(tmp_path, text), "file.yaml") == {"production": Secret(token)}
    with pytest.raises(InputError, match=r"^file.yaml:3:1: tokens_file: is nested too deeply"):
        load_tokens_file(write(tmp_path, f"{text}staging: {'[' * 40}{']' * 40}\n"), "file.yaml")


# --- which is used -----------------------------------------------------------------------------------


def credentials(environ: dict[str, str]) -> EnvironCredentials:
    own = {"loja": {"PLUG_SECRET_A": Secret("own")}}
    return EnvironCredentials(environ, {}, SecretValues({"PLUG_SECRET_A": Secret("general")}, own))


def test_a_variable_wins_then_the_environments_entry_then_the_general_one() -> None:
    """An empty variable is not set, as for tokens."""
    url = "https://a.example.com/?k={secret:PLUG_SECRET_A}"
    for environ in ({}, {"PLUG_SECRET_A": ""}):
        assert credentials(environ).fill_url(url, "loja") == "https://a.example.com/?k=own"
        assert credentials(environ).fill_url(url, "matriz") == "https://a.example.com/?k=general"
    assert credentials({"PLUG_SECRET_A": "variable"}).fill_url(url, "loja") == "https://a.example.com/?k=variable"


def test_the_fingerprint_signs_what_will_be_sent() -> None:
    """A changed value in the file changes the plan."""
    one = make_desired("loja", secrets=("PLUG_SECRET_A",))
    token = {one.token_env: CANARY}
    found = credentials(token).fingerprint(one).secrets
    assert found == EnvironCredentials({**token, "PLUG_SECRET_A": "own"}).fingerprint(one).secrets
    assert found != credentials({**token, "PLUG_SECRET_A": "new"}).fingerprint(one).secrets


def test_a_missing_secret_says_both_ways() -> None:
    one = make_desired("loja", secrets=("PLUG_SECRET_B",))
    for environ, state in (({}, "is not set"), ({"PLUG_SECRET_B": ""}, "is empty")):
        [problem] = credentials(environ).find_missing_secrets([one])
        assert problem.message == f"the variable PLUG_SECRET_B {state}"
        assert "set it, or put it into the secrets file" in problem.hint


def test_a_value_that_breaks_its_url_is_named_by_its_file() -> None:
    one = make_desired("loja", secrets=("PLUG_SECRET_A",))
    bad = SecretValues({}, {"loja": {"PLUG_SECRET_A": Secret("a b-canary")}})
    [problem] = EnvironCredentials({}, {}, bad).find_missing_secrets([one])
    assert problem.message.startswith("PLUG_SECRET_A of the secrets file holds white space")
    assert "canary" not in str(problem)


def test_the_partner_token_is_in_no_secrets_file() -> None:
    """It opens the accounts of all environments, so one variable alone holds it."""
    file = SecretValues({"PLUG_PARTNER_TOKEN": Secret(CANARY)})
    assert EnvironCredentials({}, {}, file).partner_token("PLUG_PARTNER_TOKEN") is None


def test_environments_with_their_own_secrets_are_called_separately() -> None:
    """One URL in the manifests, two as they are sent."""
    webhooks = dict.fromkeys(EVENTS, "https://a.example.com/?k={secret:PLUG_SECRET_A}")
    desired = [make_desired(name, secrets=("PLUG_SECRET_A",), webhooks=webhooks) for name in ("a", "b", "loja")]

    def groups(environ: dict[str, str]) -> set[tuple[str, ...]]:
        scope = credentials(environ).secret_scope
        return {one.environments for one in find_receivers(desired, allow_local_receivers=False, find_scope=scope)}

    assert groups({}) == {("a", "b"), ("loja",)}
    assert groups({"PLUG_SECRET_A": "variable"}) == {("a", "b", "loja")}


def test_all_values_of_both_files_are_hidden() -> None:
    """They are hidden for every environment."""
    secrets = SecretValues({"A": Secret("general-1")}, {"loja": {"A": Secret("own-value-2")}})
    files = SecretFiles({"loja": Secret("token-value-3")}, secrets)
    shown = {value.reveal() for value in find_hidden({"PLUG_SECRET_X": "variable-4"}, files, NAMES)}
    assert shown == {"general-1", "own-value-2", "token-value-3", "variable-4"}


def test_variables_of_the_workflows_hold_no_token() -> None:
    """PLUG_TOKENS holds a whole file, PLUG_TOKENS_FROM a word that any output may have."""
    environ = {"PLUG_TOKENS": "loja: canary-token", "PLUG_TOKENS_FROM": "environments", "PLUG_TOKEN_LOJA": CANARY}
    assert find_known_tokens(environ, SecretFiles(), NAMES) == (CANARY,)
    assert [value.reveal() for value in find_hidden(environ, SecretFiles(), NAMES)] == [CANARY]


@needs_posix
def test_a_fault_of_one_file_leaves_the_other_readable(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text(f"loja: {CANARY}\n")
    (tmp_path / "tokens.yaml").chmod(0o600)
    files = read_secret_files("tokens.yaml", "missing.yaml", tmp_path)
    assert files.tokens == {"loja": Secret(CANARY)}
    assert [problem.key for problem in files.problems] == ["secrets_file"]
    assert files.tokens_problems == ()
