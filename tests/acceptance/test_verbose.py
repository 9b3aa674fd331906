"""`-v` and `-vv`: each step in order on stderr, nothing else changed, and no token, secret or body."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import HOST, SECRET, Cli, Ran, Wire, canary, reply
from tests.receiver import serve_receiver

LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (.*)")


def steps(ran: Ran) -> list[str]:
    """Return the messages of the log's lines without their times."""
    return [found[1] for line in ran.err.splitlines() if (found := LINE.fullmatch(line))]


def assert_in_order(lines: Sequence[str], *patterns: str) -> None:
    """Assert that each pattern matches a line after that of the previous pattern."""
    left = iter(lines)
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in left), f"no {pattern!r} in its place:\n" + "\n".join(lines)


APPLY = (
    r"settings: no file in .*",
    r"manifests: read 2 files below manifests in \d+\.\d\d s",
    r"state: read 0 documents from .* in \d+\.\d\d s",
    r"loja: intent written, serial 1",
    r"loja: attempt 1: 200 in \d+\.\d{3} s",
    r"loja: applied, recorded",
)


@pytest.mark.parametrize("verbose", ["-v", "-vv"])
def test_an_apply_shows_its_steps_in_order_and_the_same_result(cli: Cli, verbose: str) -> None:
    """`cli.run` searches every run for its tokens and secrets."""
    cli.fleet("loja")
    ran = cli.run("apply", "--yes", "--format", "json", verbose, code=0)
    assert_in_order(steps(ran), *APPLY)
    assert ran.outcomes == {"loja": "applied"}
    quiet = cli.run("plan", code=0)
    loud = cli.run("plan", verbose, code=0)
    assert (quiet.out, quiet.err) == (loud.out, "")
    assert steps(loud) and loud.err.count("\n") == len(steps(loud))


def test_twice_shows_more_than_once(cli: Cli) -> None:
    """-vv names each file; -v -v does the same."""
    cli.fleet("loja")
    once, twice = cli.run("plan", "-v", code=0), cli.run("plan", "-vv", code=0)
    assert not any("manifests/loja.yaml" in line for line in steps(once))
    assert any("manifests/loja.yaml" in line for line in steps(twice))
    assert len(steps(cli.run("-v", "plan", "-v", code=0))) == len(steps(twice))


@pytest.mark.parametrize(
    "arguments", [("-v", "validate"), ("validate", "-v"), ("-v", "state", "list"), ("state", "list", "-v")]
)
def test_verbose_may_come_before_or_after_the_command(cli: Cli, arguments: tuple[str, ...]) -> None:
    """It may also come after the command of a group."""
    cli.fleet("loja")
    assert steps(cli.run(*arguments, code=0)) or "state" in arguments


def test_a_retry_shows_its_wait_and_each_attempt(cli: Cli, wire: Wire) -> None:
    """The status of each attempt is shown."""
    wire.answers[:] = [reply(503), reply()]
    ran = cli.run("apply", "--yes", "-v", code=0)
    assert_in_order(
        steps(ran),
        r"loja: attempt 1: 503 in .*",
        r"loja: next attempt in \d+\.\d s",
        r"loja: attempt 2: 200 in .*",
    )


@pytest.mark.parametrize("verbose", ["-v", "-vv"])
@pytest.mark.parametrize("status", [200, 400, 401, 503])
def test_a_server_that_echoes_the_token_is_not_repeated(cli: Cli, wire: Wire, verbose: str, status: int) -> None:
    """It echoes it in its body, a header, and the reason beside the status; with -v and -vv."""
    token, secret = cli.token("loja"), cli.environ[SECRET]
    wire.answers[:] = [
        reply(status, f'{{"value": true, "token": "{token}"}}'.encode(), [f"X-Echo: {token} {secret}"], reason=token)
    ]
    ran = cli.run("apply", "--yes", verbose, "--attempts", "2", code=0 if status == 200 else 1)
    assert any(f"loja: attempt 1: {status} in " in line for line in steps(ran))
    assert len(wire.requests) == (2 if status == 503 else 1)


def test_a_token_of_the_tokens_file_is_not_shown_either(cli: Cli, wire: Wire) -> None:
    """No variable holds the token."""
    token = cli.environ.pop(cli.token_env("loja"))
    file = cli.write("tokens.yaml", f"loja: {token}\n")
    file.chmod(0o600)
    cli.planted.add(file)
    cli.canaries.add(token)
    wire.answers[:] = [reply(400, token.encode(), reason=token)]
    cli.run("apply", "--yes", "-vv", "--tokens-file", "tokens.yaml", code=1)
    assert wire.requests[0].header("authorization") == token


def test_no_library_logs(cli: Cli) -> None:
    """Their logs quote headers and addresses; every line is one of this program."""
    cli.fleet("loja")
    for line in steps(cli.run("apply", "--yes", "-vv", code=0)):
        assert not re.search(r"httpx|httpcore|asyncio|connect_tcp|HTTP Request|selector", line), line


def test_reads_of_accounts_are_shown(cli: Cli, sandbox: Sandbox) -> None:
    """The environment is shown, without the account's URLs."""
    cli.fleet("loja")
    cli.manifest("loja", more="account_id: 1-loja\n")
    cli.environ |= {"PLUG_PARTNER_TOKEN": canary("partner"), "RECONCILER_PARTNER__BASE_URL": sandbox.base_url}
    sandbox.plug.options = replace(Options(), accounts={"1-loja": cli.token("loja")})
    cli.run("apply", "--yes", code=0)
    ran = cli.run("plan", "--observe", "-v", code=0)
    assert_in_order(steps(ran), r"loja: read 1 of its account: 200 in \d+\.\d{3} s")
    assert HOST not in ran.err


def test_calls_of_receivers_are_shown(cli: Cli) -> None:
    """The host and the event are shown, never the URL with its secret."""
    with serve_receiver(None) as receiver:
        cli.fleet("loja", host=f"127.0.0.1:{receiver.port}")
        cli.environ["RECONCILER_ALLOW_LOCAL_RECEIVERS"] = "true"
        ran = cli.run("check", "-v")
    assert any(line.startswith(f"127.0.0.1:{receiver.port}: ") for line in steps(ran))


def test_a_hostile_name_is_logged_escaped(cli: Cli) -> None:
    """Escape codes and line ends in a logged value do nothing; `cli.run` searches for them."""
    cli.fleet("loja")
    cli.write("manifests/x\x1b[2J\n::error::\u202e.yaml", "environment: matriz\n")
    ran = cli.run("plan", "-vv", code=0)
    assert any("manifests/x\\x1b[2J" in line for line in steps(ran))
