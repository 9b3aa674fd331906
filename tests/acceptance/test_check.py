"""`check` and `apply --check-first` as processes, against TLS receivers on loopback (docs/contract.md#drift)."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import EVENTS
from reconciler.plug.examples import example_bodies
from tests.acceptance.conftest import SECRET, Cli, assert_harmless, canary, only, wait_until
from tests.receiver import Authority, Receiver, serve_receiver

IN_OTHER_FORMATS = ("--also", "text=check.txt", "--also", "markdown=check.md")
BODIES = sorted(body for event in EVENTS for body in example_bodies(event))
PATIENT = {"RECONCILER_TIMEOUT": "15m", "RECONCILER_LEASE": "1h"}  # A lease has to be longer than a call.
Serve = Callable[..., Receiver]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def serve(authority: Authority) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(*names: str, days: float = 90, tls: Any = None, **how: Any) -> Receiver:
            return stack.enter_context(serve_receiver(tls or authority.context(*names, days=days), **how))

        yield start


@pytest.fixture
def local(cli: Cli, authority: Authority) -> Cli:
    """Return a checkout whose receivers are on loopback, and which trusts the test's authority."""
    cli.environ |= {
        "SSL_CERT_FILE": str(authority.file),
        "RECONCILER_ALLOW_LOCAL_RECEIVERS": "true",
        "RECONCILER_TIMEOUT": "30",
    }
    return cli


def fleet(cli: Cli, receiver: Receiver, *names: str) -> None:
    cli.fleet(*names, host=f"localhost:{receiver.port}")


def manifest(cli: Cli, name: str, path: str, receiver: Receiver, wave: int = 0) -> None:
    """Write an environment whose receiveMessage goes to `path`, with the secret in the query."""
    url = f"{receiver.url(path)}?key={{secret:{SECRET}}}"
    cli.environ.setdefault(cli.token_env(name), canary())
    cli.manifest(name, wave=wave, more=f"webhooks: {{receiveMessage: {json.dumps(url)}}}\n")


def test_receivers_that_accept_everything_pass(local: Cli, serve: Serve) -> None:
    """Exit 0 without a token; each documented body arrives byte for byte, with the secret filled in."""
    receiver = serve()
    fleet(local, receiver, "loja")
    del local.environ[local.token_env("loja")]
    ran = local.run("check", "--format", "json", code=0)
    assert sorted(request.body for request in receiver.requests) == BODIES
    targets = {request.target for request in receiver.requests}
    assert f"/loja/1/receiveMessage?key={local.environ[SECRET]}" in targets
    assert all(request.headers["content-type"] == "application/json" for request in receiver.requests)
    assert ran.json["summary"] == {"receivers": 7, "passed": 7, "failed": 0, "warnings": 0}
    one = next(one for one in ran.json["receivers"] if one["event"] == "receiveMessage")
    assert 0 < one.pop("latency_s") < 30
    assert "127.0.0.1" in one.pop("addresses")
    assert one == {
        "url": f"https://localhost:{receiver.port}/loja/1/receiveMessage?key={{secret:{SECRET}}}",
        "event": "receiveMessage",
        "environments": ["loja"],
        "ok": True,
        "stage": "post",
        "status": 200,
        "certificate_days": 89,
        "message": "",
        "warning": "",
    }
    assert not (local.folder / ".reconciler").exists()


@pytest.mark.parametrize("path", ["/echo", "/302", "/500", "/cut", "/junk", "/mute", "/drip"])
def test_a_failing_receiver_is_exit_2_and_leaks_nothing(local: Cli, serve: Serve, path: str) -> None:
    """Nothing leaks whatever it echoes in body, headers and status line: the helper searches all output and files."""
    receiver = serve()
    fleet(local, receiver, "loja")
    manifest(local, "loja", path, receiver)
    timeout_s = "3" if path == "/drip" else "30"
    ran = local.run("check", "--timeout", timeout_s, "--format", "json", *IN_OTHER_FORMATS, code=2)
    shown = [(local.folder / name).read_text(encoding="utf-8") for name in ("check.txt", "check.md")]
    assert all(f"{{secret:{SECRET}}}" in text for text in (ran.out, *shown))
    for text in shown:
        assert_harmless(text)
    failed = only([one for one in ran.json["receivers"] if not one["ok"]])
    assert (failed["stage"], failed["message"] != "") == ("post", True)
    assert len(receiver.requests) == 8  # Redirects are not followed.


def test_each_stage_is_reported(local: Cli, serve: Serve, tmp_path: Path) -> None:
    """A name that doesn't exist, a port that refuses, five kinds of bad TLS, and a good receiver beside them."""
    good, expired, unknown = serve(), serve(days=-1), serve(tls=Authority(tmp_path).context("localhost"))
    wrong, silent = serve("other.acme.com.br"), serve(speaks=False)
    with serve_receiver(None) as gone:
        pass
    fleet(local, good, "loja")
    urls = {
        "finishAttendance": "https://missing.invalid/x",
        "startAttendance": f"https://localhost:{gone.port}/x",
        "receiveMessage": expired.url(),
        "sendingMessage": unknown.url(),
        "messageDeliveryError": wrong.url(),
        "messageStatus": silent.url().replace("http:", "https:"),
    }
    local.manifest("loja", more=f"webhooks: {json.dumps(urls)}\n")
    ran = local.run("check", "--timeout", "3", "--format", "json", *IN_OTHER_FORMATS, code=2)
    stages = {one["event"]: (one["stage"], one["ok"]) for one in ran.json["receivers"]}
    assert stages == {
        "finishAttendance": ("dns", False),
        "startAttendance": ("connect", False),
        "receiveMessage": ("tls", False),
        "sendingMessage": ("tls", False),
        "messageDeliveryError": ("tls", False),
        "messageStatus": ("tls", False),
        "whenDisconnecting": ("post", True),
    }
    for name in ("check.txt", "check.md"):
        assert_harmless((local.folder / name).read_text(encoding="utf-8"))


def test_loopback_is_not_connected_to_without_the_setting(cli: Cli, serve: Serve) -> None:
    """A manifest that names it is invalid; no receiver is called."""
    receiver = serve()
    fleet(cli, receiver, "loja")
    cli.run("check", code=3)
    assert receiver.connections == 0


def test_no_post_needs_no_secret_and_sends_nothing(local: Cli, serve: Serve) -> None:
    """It still warns about the certificate."""
    receiver = serve(days=12.5)
    fleet(local, receiver, "loja")
    ran = local.run("check", "--no-post", env={SECRET: None}, code=0)
    assert "the certificate of localhost expires in 12 days" in ran.out
    assert ran.out.splitlines()[-1] == "Check: 7 receivers: 7 passed; 1 warning; nothing was posted (--no-post)."
    assert receiver.requests == []
    assert receiver.connections == 1


@pytest.mark.parametrize("value", [None, "", "a b", "a#b"])
def test_a_missing_or_impossible_secret_is_exit_3(local: Cli, serve: Serve, value: str | None) -> None:
    """The message names the variable; no receiver is called, and stdout is empty."""
    receiver = serve()
    fleet(local, receiver, "loja")
    ran = local.run("check", "--format", "json", env={SECRET: value}, code=3)
    assert SECRET in ran.err
    assert ran.out == ""
    assert receiver.connections == 0


def test_check_is_narrowed_by_environment(local: Cli, serve: Serve) -> None:
    """Only selected receivers are called; a glob without a match is an error."""
    receiver = serve()
    fleet(local, receiver, "loja", "matriz")
    ran = local.run("check", "-e", "mat*", "--format", "json", code=0)
    assert {name for one in ran.json["receivers"] for name in one["environments"]} == {"matriz"}
    assert all(request.target.startswith("/matriz/") for request in receiver.requests)
    assert "matches no environment" in local.run("check", "-e", "x", code=3).err


def test_a_hundred_environments_behind_one_host(local: Cli, serve: Serve) -> None:
    """800 POSTs use nine connections at most."""
    receiver = serve()
    fleet(local, receiver, *(f"loja-{number}" for number in range(100)))
    ran = local.run("check", "--format", "json", "--timeout", "30", code=0)
    assert ran.json["summary"]["passed"] == 700
    assert len(receiver.requests) == 800
    assert receiver.connections <= 1 + 8


def test_a_shared_url_is_called_once(local: Cli, serve: Serve) -> None:
    """The result names all environments that use it."""
    receiver = serve()
    fleet(local, receiver, "a", "b")
    for name in ("a", "b"):
        manifest(local, name, "/shared", receiver)
    ran = local.run("check", "--format", "json", code=0)
    assert len(ran.json["receivers"]) == 13
    assert sum(request.target.startswith("/shared") for request in receiver.requests) == 1
    one = next(one for one in ran.json["receivers"] if one["event"] == "receiveMessage")
    assert one["environments"] == ["a", "b"]


# --- apply --check-first ---------------------------------------------------------------------------


def test_check_first_fails_an_environment_before_its_intent(local: Cli, serve: Serve) -> None:
    """It gets no state and no PUT; the others are applied."""
    receiver = serve()
    fleet(local, receiver, "boa", "loja")
    manifest(local, "loja", "/500", receiver)
    ran = local.run("apply", "--yes", "--check-first", "--format", "json", code=1)
    assert ran.outcomes == {"boa": "applied", "loja": "failed"}
    one = next(one for one in ran.json["environments"] if one["environment"] == "loja")
    assert (one["attempts"], one["status"]) == (0, None)
    assert one["message"].startswith("not sent: a receiver fails the check. receiveMessage: answered 500")
    assert set(local.state_bytes()) == {"boa.json"}
    assert (local.puts("boa"), local.puts("loja")) == (1, 0)


def test_check_first_calls_only_what_would_be_put(local: Cli, serve: Serve) -> None:
    """Receivers of unchanged environments are not called; with nothing to do, none is."""
    receiver = serve()
    fleet(local, receiver, "a", "b")
    local.run("apply", "--yes", code=0)
    local.run("apply", "--yes", "--check-first", code=0)
    assert receiver.connections == 0
    local.manifest("b", version="2")
    local.run("apply", "--yes", "--check-first", code=0)
    assert {request.target.split("/")[1] for request in receiver.requests} == {"b"}
    assert len(receiver.requests) == 8


def test_check_first_fails_the_wave(local: Cli, serve: Serve) -> None:
    """Later waves are skipped, as after any failure."""
    receiver = serve()
    fleet(local, receiver, "a", "b")
    manifest(local, "a", "/500", receiver)
    local.manifest("b", wave=1)
    ran = local.run("apply", "--yes", "--check-first", "--format", "json", code=1)
    assert ran.outcomes == {"a": "failed", "b": "skipped"}


def test_check_first_goes_with_a_plan_file(local: Cli, serve: Serve) -> None:
    """It doesn't change what is planned."""
    receiver = serve()
    fleet(local, receiver, "a")
    local.run("plan", "--out", "plan.json", code=0)
    local.run("apply", "--yes", "--check-first", "plan.json", code=0)
    assert len(receiver.requests) == 8


def test_no_receiver_is_called_in_a_dry_run_or_without_a_yes(local: Cli, serve: Serve) -> None:
    """`--dry-run` is exactly `plan`; after a no, or without a terminal to ask on, nothing was sent."""
    receiver = serve()
    fleet(local, receiver, "a")
    local.run("apply", "--dry-run", "--check-first", code=0)
    local.run("apply", "--check-first", code=3)
    local.run("apply", "--check-first", code=1, answer="n\n")
    assert receiver.connections == 0
    assert local.state_bytes() == {}


def test_a_signal_during_a_check_shows_what_was_checked(local: Cli, serve: Serve) -> None:
    """Exit 130 although one call is never answered; the calls before it are shown."""
    receiver = serve()
    fleet(local, receiver, "loja")
    manifest(local, "loja", "/hang", receiver)
    running = local.start("check", "--concurrency", "1", env=PATIENT)
    wait_until(lambda: any("/hang" in request.target for request in receiver.requests), "the hanging POST")
    running.process.send_signal(signal.SIGINT)
    ran = running.finish()  # It waits less than the timeout of the call.
    assert ran.code == 130
    last = ran.out.splitlines()[-1]
    assert re.fullmatch(r"Check: [1-6] receivers?: [1-6] passed; interrupted: [1-6] not checked\.", last), ran


def test_a_signal_ends_a_check_before_an_apply_at_once(local: Cli, serve: Serve) -> None:
    """Exit 130 with an empty stdout; nothing was written or put."""
    receiver = serve()
    fleet(local, receiver, "loja")
    manifest(local, "loja", "/hang", receiver)
    running = local.start("apply", "--yes", "--check-first", env=PATIENT)
    wait_until(lambda: any("/hang" in request.target for request in receiver.requests), "the hanging POST")
    running.process.send_signal(signal.SIGINT)
    ran = running.finish()  # It waits less than the timeout of the call.
    assert (ran.code, ran.out) == (130, "")
    assert local.state_bytes() == {}
    assert local.puts("loja") == 0
