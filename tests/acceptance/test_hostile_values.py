"""Names, texts and answers that try to be more than data. The helper checks every output (`assert_harmless`)."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.conftest import Cli, Request, Wire, only, reply

EVIL = "\x1b[31mroot\x07\r\n::error::pwned\n##[group]x\u202e\x9b2J @octo/team"
FORMATS = ("text", "json", "markdown")


@pytest.fixture
def hostile(cli: Cli) -> Cli:
    """Return a checkout with an environment that has a hostile actor and a hostile description."""
    cli.fleet("loja")
    cli.manifest("loja", more=f"description: {json.dumps('Loja ::error::x ##[error]y @octo/team')}\n")
    cli.environ["GITHUB_ACTOR"] = EVIL
    cli.environ["GITHUB_RUN_ID"] = "::set-output name=x::y\n##[error]\x1b[2J"
    cli.run("apply", "--yes", code=0)
    return cli


@pytest.mark.parametrize("form", FORMATS)
def test_a_hostile_actor_is_data_in_every_view(hostile: Cli, form: str) -> None:
    """The actor is shown escaped, and no user is mentioned."""
    for command in (("state", "list"), ("state", "show", "loja"), ("state", "history", "loja"), ("drift",), ("plan",)):
        ran = hostile.run(*command, "--format", form, code=0)
        if form == "markdown":
            assert "@octo" not in ran.out
    assert hostile.document("loja")["applied"]["by"]["actor"].startswith("\x1b[31mroot")


@pytest.fixture
def locked(hostile: Cli) -> Cli:
    """Return a checkout whose environment has a live intent of the hostile actor."""
    document = hostile.document("loja")
    document["serial"] += 1
    document["intent"] = {
        "id": "0" * 32,
        "webhooks": document["applied"]["webhooks"],
        "doubt": False,
        "at": "2026-01-01T00:00:00Z",
        "lease_until": "2126-01-01T00:00:00Z",
        "by": document["applied"]["by"],
    }
    hostile.put_document("loja", document)
    return hostile


def test_a_hostile_lock_is_data(locked: Cli) -> None:
    """The message that names the other run escapes its actor."""
    for form in FORMATS:
        locked.run("apply", "--yes", "--format", form, code=4)
        locked.run("plan", "--format", form, code=0)
    locked.run("state", "forget", "loja", "--yes", code=4)


def test_the_question_of_unlock_shows_a_hostile_actor_escaped(locked: Cli) -> None:
    """A question is output as well."""
    locked.run("state", "unlock", "loja", code=1, answer="n\n")


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_texts_in_manifests_are_data(cli: Cli, form: str) -> None:
    """Descriptions, keys and values with escapes are refused or shown harmlessly, by every command."""
    cli.fleet("loja")
    cli.manifest("loja", more=f"description: {json.dumps(EVIL)}\n")
    for command in ("validate", "plan"):
        cli.run(command, "--format", form)
    key = json.dumps(EVIL)
    text = f'{key}: 1\nwave: {key}\nvars: {{version: "1", host: {key}}}\nwebhooks:\n  {key}: {key}\n'
    cli.write("manifests/loja.yaml", text)
    cli.run("validate", "--format", form, code=3)
    cli.run("plan", "--format", form, code=3)


def test_hostile_file_and_folder_names_are_data(cli: Cli) -> None:
    """A path that contains escapes or a workflow command does no harm in plans or errors."""
    cli.fleet("loja")
    folder = "::error::##[group]x"
    (cli.folder / "manifests").rename(cli.folder / folder)
    path = cli.folder / folder / "loja.yaml"
    path.rename(path.with_name("\x1b]0;x\x07\n::warning::y ##[error].yaml"))
    for form in FORMATS:
        cli.run("plan", "--manifests", folder, "--format", form, code=0)
    cli.write(f"{folder}/bad\n::error::z.yaml", "wave: '1'\nnonsense: 2\n")
    for form in FORMATS:
        cli.run("validate", "--manifests", folder, "--format", form, code=3)
    cli.run("apply", "--yes", "--manifests", folder, code=3)


def test_hostile_arguments_are_data(cli: Cli) -> None:
    """An error that repeats an argument escapes it."""
    cli.fleet("loja")
    for arguments in (
        ("plan", "-e", EVIL),
        (EVIL,),
        ("plan", f"--{EVIL}"),
        ("apply", "--yes", EVIL),
        ("state", "show", EVIL),
        ("state", "adopt", EVIL, "--yes"),
        ("plan", "--timeout", EVIL),
        ("plan", "--manifests", EVIL),
        ("apply", "--yes", "--accept-account-change", EVIL),
    ):
        cli.run(*arguments, code=3)
    cli.run("plan", code=3, env={f"RECONCILER_{EVIL}": "x"})
    cli.run("plan", "--out", EVIL.replace("/", ""), code=0)


def test_a_hostile_state_folder_is_data(cli: Cli) -> None:
    """The path of a corrupt document in a folder with a hostile name is escaped."""
    cli.fleet("loja")
    folder = "::error::##[group]x"
    cli.write(f"{folder}/loja.json", json.dumps({"format": EVIL, "environment": EVIL}))
    cli.write(f"{folder}/bad\n::error::\x1b[31m.json", "{}")
    for form in FORMATS:
        cli.run("plan", "--state", folder, "--format", form, code=4)
    cli.run("state", "list", "--state", folder, code=4)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 503])
def test_an_answer_that_echoes_the_token_is_not_repeated(cli: Cli, wire: Wire, status: int) -> None:
    """Body, reason and headers of an answer may hold the token, the secret and escapes: none of them is shown."""

    def echo(request: Request) -> bytes:
        token = request.header("Authorization")
        body = json.dumps({"value": False, "error": f"{EVIL} {token} {request.body.decode()}"}).encode()
        headers = [f"X-Echo: {token} \x1b[31m", f"Location: http://x/{token}", f"Retry-After: {token}"]
        return reply(status, body + EVIL.encode(), headers, reason=f"::error::{token}")

    wire.answers = [echo]
    code = 0 if status == 200 else 1
    ran = cli.run("apply", "--yes", "--attempts", "1", "--format", "json", code=code)
    assert only(ran.json["environments"])["status"] == status
    cli.run("apply", "--yes", "--attempts", "1", "--reassert", code=code)


def test_a_hostile_tokens_file_and_settings_file_are_not_repeated(cli: Cli) -> None:
    """The name of a malformed file is shown, its content isn't."""
    cli.fleet("loja")
    secret = "canary-token-in-a-broken-file"
    cli.canaries.add(secret)
    path = cli.write("tokens.yaml", f"loja: [{secret}\n")
    path.chmod(0o600)
    cli.planted.add(path)
    ran = cli.run("apply", "--yes", "--tokens-file", "tokens.yaml", code=3)
    assert "tokens.yaml" in ran.err
    cli.planted.add(cli.write("reconciler.toml", f'token = "{secret}"\n[api]\n"\\u001b[31m" = 1\n'))
    cli.run("plan", code=3)
