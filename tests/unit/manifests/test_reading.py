"""Tokens in the files of a tree, and what the settings change about its manifests (docs/manifests.md)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.policy import Policy
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.model import EVENTS, AuthScheme

OPTIONS = TreeOptions(
    base_url="https://www.plugchat.com.br", auth_scheme=AuthScheme.RAW, allowed_hosts=("www.plugchat.com.br",)
)
WEBHOOKS = "webhooks:\n" + "".join(
    f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}\n" for event in EVENTS
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "a.yaml").write_text(WEBHOOKS)
    return folder


def load(**values: Any) -> Tree:
    return load_tree("manifests", replace(OPTIONS, **values))


def errors(**values: Any) -> list[tuple[str, str]]:
    return [(problem.file, problem.message) for problem in load(**values).errors]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "gone can't be read: No such file or directory"),
        ("manifests/a.yaml", "manifests/a.yaml is not a folder"),
        ("empty", "empty holds no manifest"),
    ],
)
def test_a_folder_without_manifests_is_a_problem_of_the_setting(root: Path, name: str, message: str) -> None:
    """None of them is an empty tree. A folder has no lines."""
    (root.parent / "empty").mkdir()
    (problem,) = load_tree(name, OPTIONS).errors
    assert (problem.where, problem.key, problem.message) == ("", "manifests", message)


def test_an_alias_bomb_is_read_in_no_time(root: Path) -> None:
    """Ninety-nine aliases in nine levels would expand to 11^9 nodes."""
    lines = ["v0: &v0 [x, x]\n"]
    lines += [f"v{level}: &v{level} [{', '.join([f'*v{level - 1}'] * 11)}]\n" for level in range(1, 10)]
    (root / "b.yaml").write_text("vars:\n" + "".join("  " + line for line in lines) + WEBHOOKS)
    found = errors()
    assert len(found) == 10
    assert {message for _, message in found} == {"is a list"}


@pytest.mark.parametrize(
    "text",
    [
        "# {token}\n" + WEBHOOKS,
        WEBHOOKS + "  {token}: x\n",
        "environment: {token}\n" + WEBHOOKS,
        "api: {{auth_scheme: {token}}}\n",
    ],
)
def test_an_available_token_in_a_file_is_an_error_that_never_repeats_it(root: Path, text: str) -> None:
    """It may be in a comment, a key or a value, and no other message repeats it."""
    token = "Canary0Token1Value"
    (root / "b.yaml").write_text(text.replace("{{", "{").replace("}}", "}").replace("{token}", token))
    tree = load(known_tokens=(token,))
    assert "holds the value of a token variable" in [problem.message for problem in tree.errors]
    assert not any(token in str(problem) for problem in (*tree.errors, *tree.warnings))


def test_many_available_tokens_are_found_too(root: Path) -> None:
    """For many tokens, an index of their pieces is searched."""
    tokens = tuple(f"token-of-{number:05}" for number in range(1000))
    (root / "b.yaml").write_text("# was: token-of-00999\n" + WEBHOOKS)
    assert errors(known_tokens=tokens) == [("manifests/b.yaml", "holds the value of a token variable")]


def test_loopback_receivers_are_accepted_only_with_a_loopback_base_url(root: Path) -> None:
    """The setting allow_local_receivers is needed too."""
    (root / "a.yaml").write_text(WEBHOOKS.replace("https://hooks.acme.com.br", "http://127.0.0.1:8080"))
    assert errors(allow_local_receivers=True, base_url="http://127.0.0.1:1") == []
    assert len(errors(allow_local_receivers=False, base_url="http://127.0.0.1:1")) == 7
    assert len(errors(allow_local_receivers=True)) == 7


def test_environments_of_a_tokens_file_may_share_a_variable(root: Path) -> None:
    """All of them must be in the file, which has a token for each."""
    for name in "ab":
        (root / f"{name}.yaml").write_text("token_env: PLUG_TOKEN_X\n" + WEBHOOKS)
    assert errors(tokens_file_environments=frozenset("ab")) == []
    assert len(errors(tokens_file_environments=frozenset("a"))) == 1


def test_the_same_url_in_two_environments_is_a_warning(root: Path) -> None:
    """It may be a staging receiver in production."""
    (root / "b.yaml").write_text(WEBHOOKS.replace("{environment}/messageStatus", "a/messageStatus"))
    warnings = load().warnings
    assert [(one.file, one.line, one.key) for one in warnings] == [("manifests/b.yaml", 7, "webhooks.messageStatus")]
    assert warnings[0].message == "b and a have the same URL"


def test_an_environments_own_secret_makes_the_same_text_another_url(root: Path) -> None:
    """After an import, each company has its own value under the same name."""
    text = WEBHOOKS.replace("{environment}/messageStatus", "status?key={secret:PLUG_SECRET_KEY}")
    for name in "abc":
        (root / f"{name}.yaml").write_text(text)
    own = frozenset({"PLUG_SECRET_KEY"})
    assert [one.message for one in load().warnings] == ["b, c and a have the same URL"]
    assert [one.message for one in load(own_secrets={"a": own}).warnings] == ["c and b have the same URL"]
    assert load(own_secrets={"a": own, "c": own}).warnings == ()


def test_a_token_written_with_escapes_is_found_in_the_value(root: Path) -> None:
    """No line of the file's text has it."""
    text = WEBHOOKS.replace(
        "https://hooks.acme.com.br/{environment}/messageStatus",
        '"https://hooks.acme.com.br/\\u0065yJhbGciOiJub25lIn0.eyJvIjoxfQ.c2ln"',
    )
    (root / "b.yaml").write_text(text)
    [problem] = load().errors
    assert (problem.file, problem.line, problem.key) == ("manifests/b.yaml", 7, "webhooks.messageStatus")
    assert problem.message == "holds a JWT that is not a token of Plug, but a receiver's own key"


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('"Can\\u0061ry0\'Token1": x\n' + WEBHOOKS, 1, ""),
        (WEBHOOKS + '  "Can\\u0061ry0\'Token1": x\n', 9, "webhooks"),
        ('vars: {"Can\\u0061ry0\'Token1": 8443}\n' + WEBHOOKS, 1, "vars"),
        ("'Canary0''Token1': x\n" + WEBHOOKS, 1, ""),
        ("description: 'Canary0''Token1'\n" + WEBHOOKS, 1, "description"),
    ],
)
def test_a_token_written_with_escapes_is_reported_without_being_repeated(
    root: Path, text: str, line: int, key: str
) -> None:
    """It may be in a key, which other problems name, and in single quotes, which are doubled."""
    token = "Canary0'Token1"
    (root / "b.yaml").write_text(text)
    [problem] = load(known_tokens=(token,)).errors
    assert (problem.line, problem.key, problem.message) == (line, key, "holds the value of a token variable")


@pytest.mark.parametrize("policy", [Policy(), Policy(denied=("*.example.com",))])
def test_a_token_in_a_host_is_repeated_by_no_warning_and_in_no_case(root: Path, policy: Policy) -> None:
    """Warnings show hosts in lower case, for reserved hosts and for denied ones."""
    token = "Canary0-Token1-Value"
    (root / "b.yaml").write_text(WEBHOOKS.replace("hooks.acme.com.br", f"{token}.example.com", 1))
    tree = load(known_tokens=(token,), policy=policy)
    assert [problem.message for problem in tree.errors] == ["holds the value of a token variable"]
    assert tree.warnings == ()


def test_a_shared_local_receiver_is_reported_with_the_environments_that_must_not_use_it(root: Path) -> None:
    """Only an environment whose base URL is loopback may have one, so the same default is wrong for the others."""
    (root / "a.yaml").unlink()
    local = WEBHOOKS.replace("https://hooks.acme.com.br/{environment}/finishAttendance", "http://127.0.0.1:8080/x")
    (root / "_defaults.yaml").write_text(local)
    (root / "b.yaml").write_text('api: {base_url: "http://127.0.0.1:1"}\n')
    (root / "c.yaml").write_text('api: {base_url: "https://www.plugchat.com.br"}\n')
    found = errors(allow_local_receivers=True, base_url="http://127.0.0.1:2")
    assert found == [("manifests/_defaults.yaml", "is not https (in c)")]


@pytest.mark.parametrize("before", ["Bearer%20", "token%3D", "x", "old_", "eyJ"])
def test_a_jwt_right_behind_a_word_is_found(root: Path, before: str) -> None:
    """A percent-encoded blank or equals sign ends in a letter or digit too."""
    jwt = "eyJhbGciOiJub25lIn0.eyJvcmdhbml6YXRpb25JZCI6MX0.c2ln"
    (root / "b.yaml").write_text(WEBHOOKS.replace("messageStatus\n", f"messageStatus?a={before}{jwt}\n", 1))
    [problem] = load().errors
    assert problem.message == "holds a token (a JWT)"
    assert jwt not in str(problem)


@pytest.mark.slow
def test_a_flood_of_what_begins_like_a_jwt_is_searched_in_seconds(root: Path) -> None:
    """A mebibyte of beginnings doesn't take quadratic time."""
    begun = time.process_time()
    for text in ("eyJ" * 300_000, "xeyJ" * 250_000 + ".eyJ", "aeyJaaaaa." * 100_000, "eyJaaaa.eyJ" * 90_000):
        (root / "b.yaml").write_text(f"# {text}\n{WEBHOOKS}")
        load()
    assert time.process_time() - begun < 20
