"""The bytes on the wire, and the outcome of each answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model import EVENTS
from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli, Hang, Ran, Reset, Wire, canary, only, reply


def apply(cli: Cli, *arguments: str, code: int) -> dict[str, Any]:
    """Apply the one environment and return its part of the result."""
    ran: Ran = cli.run("apply", "--yes", "--format", "json", *arguments, code=code)
    found = only(ran.json["environments"])
    assert isinstance(found, dict)
    return found


def test_the_request_is_the_documented_one(cli: Cli, wire: Wire) -> None:
    """It has the method PUT, the path, the raw token, JSON with exactly the seven keys, and the program's name."""
    one = apply(cli, code=0)
    request = only(wire.requests)
    assert (request.method, request.target) == ("PUT", "/api/integrations/update-webhooks")
    assert request.header("Authorization") == cli.token("loja")
    assert request.header("Content-Type") == "application/json"
    assert request.header("User-Agent").startswith("reconciler/")
    assert request.header("Host") == f"127.0.0.1:{wire.port}"
    assert set(json.loads(request.body)) == set(EVENTS)
    assert json.loads(request.body) == cli.desired("loja")
    assert (one["outcome"], one["attempts"], one["status"]) == ("applied", 1, 200)


def test_bearer_and_a_path_prefix_are_used(cli: Cli, wire: Wire) -> None:
    """auth_scheme bearer puts the word before the token; a base URL can have a path."""
    base_url = f"{wire.base_url}/gateway"
    apply(cli, "--api-auth-scheme", "bearer", "--api-base-url", base_url, code=0)
    request = only(wire.requests)
    assert request.target == "/gateway/api/integrations/update-webhooks"
    assert request.header("Authorization") == f"Bearer {cli.token('loja')}"


def test_urls_are_sent_byte_for_byte(cli: Cli, wire: Wire) -> None:
    """Nothing is normalised: no slash is added, no case changed, no dot segment or escape resolved."""
    urls = {
        "finishAttendance": "https://HOOKS.acme.com.br",
        "startAttendance": "https://hooks.acme.com.br:443/a/../b//c/",
        "sendingMessage": "https://hooks.acme.com.br/%7Ea%2fb?q=%C3%A9&&x=1;y",
        "messageStatus": "https://hooks.acme.com.br/{{id}}?",
    }
    cli.manifest("loja", more="webhooks:\n" + "".join(f'  {event}: "{url}"\n' for event, url in urls.items()))
    apply(cli, code=0)
    sent = json.loads(only(wire.requests).body)
    urls["messageStatus"] = "https://hooks.acme.com.br/{id}?"
    assert {event: sent[event] for event in urls} == urls


def test_a_redirect_is_not_followed(cli: Cli, wire: Wire, wires: Callable[[], Wire]) -> None:
    """A 302 is rejected at once; the token goes only to the configured host."""
    other = wires()
    wire.answers = [reply(302, b"", [f"Location: {other.base_url}/api/integrations/update-webhooks"])]
    one = apply(cli, code=1)
    assert (one["outcome"], one["attempts"], one["status"]) == ("rejected", 1, 302)
    assert len(wire.requests) == 1
    assert other.connections == 0


@pytest.mark.parametrize("status", [401, 405, 415])
def test_documented_refusals_name_the_variable(cli: Cli, wire: Wire, status: int) -> None:
    """401, 405 and 415 are rejected, and explained with the variable that held the token."""
    wire.answers = [reply(status, b"no")]
    one = apply(cli, code=1)
    assert (one["outcome"], one["attempts"], one["status"]) == ("rejected", 1, status)
    assert str(status) in one["message"]
    assert cli.document("loja")["intent"] is None
    assert "PLUG_TOKEN_LOJA" in one["message"]


@pytest.mark.parametrize("body", [b'{"value": false}', b'{"value": false, "value": true}'], ids=["once", "twice"])
def test_value_false_is_a_rejection(cli: Cli, wire: Wire, body: bytes) -> None:
    """A 200 is no success if Plug says so; of a repeated key, each value counts."""
    wire.answers = [reply(200, body)]
    one = apply(cli, code=1)
    assert (one["outcome"], one["status"]) == ("rejected", 200)
    assert cli.document("loja")["applied"] is None


@pytest.mark.parametrize(
    "body",
    [b"", b"OK", b'{"value": "false"}', b'[{"value": false}]', b"[" * 64 + b"]" * 64, b" " * 65_536],
    ids=["empty", "text", "string", "list", "64 deep", "64 KiB"],
)
def test_any_other_complete_2xx_is_applied(cli: Cli, wire: Wire, body: bytes) -> None:
    """Only an object with value false is a refusal."""
    wire.answers = [reply(201, body)]
    one = apply(cli, code=0)
    assert (one["outcome"], one["status"]) == ("applied", 201)


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b'{"val', length=100),
        reply(200, b"{}" + b" " * 65_536),
        reply(200, b"[" * 65 + b"]" * 65),
        reply(200, b"{}", ["Content-Encoding: br"]),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nfine",
        reply(408),
        reply(500),
        reply(501),
        b"this is not HTTP\r\n\r\n",
        b"",
        Reset(),
    ],
    ids=[
        "cut 200",
        "over 64 KiB",
        "65 deep",
        "a coding that can't be undone",
        "empty without an end",
        "text without an end",
        "408",
        "500",
        "501",
        "garbage",
        "closed",
        "reset",
    ],
)
def test_an_ambiguous_answer_is_uncertain(cli: Cli, wire: Wire, answer: Any) -> None:
    """A cut answer, a 5xx, a 408, a broken connection: the intent stays, in doubt, its lease released."""
    wire.answers = [answer]
    one = apply(cli, "--attempts", "1", code=1)
    assert (one["outcome"], one["attempts"]) == ("uncertain", 1)
    document = cli.document("loja")
    assert document["applied"] is None
    assert (document["intent"]["doubt"], document["intent"]["lease_until"]) == (True, None)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"value": true}', "applied"),
        (b'HTTP/1.0 200 OK\r\n\r\n{"value": false}', "rejected"),
        (reply(400, b"bad", length=100), "rejected"),
        (b"HTTP/1.1 302 Found\r\nLocation: ", "rejected"),
    ],
    ids=["a whole object", "a whole object that denies", "cut 400", "cut 302"],
)
def test_a_complete_value_is_enough_without_a_clean_end(cli: Cli, wire: Wire, answer: bytes, outcome: str) -> None:
    """One complete object, or the status line of a 3xx or 4xx, decides."""
    wire.answers = [answer]
    one = apply(cli, "--attempts", "1", code=0 if outcome == "applied" else 1)
    assert (one["outcome"], one["attempts"]) == (outcome, 1)
    assert cli.document("loja")["intent"] is None


def test_an_ambiguous_answer_is_retried(cli: Cli, wire: Wire) -> None:
    """A second attempt decides."""
    wire.answers = [reply(200, b"{}", ["Content-Encoding: br"]), reply()]
    one = apply(cli, code=0)
    assert (one["outcome"], one["attempts"]) == ("applied", 2)


def test_a_timeout_is_uncertain(cli: Cli, wire: Wire) -> None:
    """A server that receives the request and never answers may have acted."""
    wire.answers = [Hang()]
    one = apply(cli, "--timeout", "1", "--attempts", "1", code=1)
    assert (one["outcome"], one["attempts"], one["status"]) == ("uncertain", 1, None)
    assert "within 1 s" in one["message"]


def test_a_refused_connection_is_a_failure_without_an_attempt(cli: Cli, wire: Wire) -> None:
    """No byte was sent, so nothing is in doubt."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    one = apply(cli, "--attempts", "2", "--api-base-url", f"http://127.0.0.1:{port}", code=1)
    assert (one["outcome"], one["attempts"], one["status"]) == ("failed", 0, None)
    assert cli.document("loja")["intent"] is None


def test_retry_after_in_seconds_is_waited_for(cli: Cli, wire: Wire) -> None:
    """After a 429 with a Retry-After, the PUT is tried again at that time, and applied."""
    wire.answers = [reply(429, b"", ["Retry-After: 1"]), reply()]
    one = apply(cli, code=0)
    assert (one["outcome"], one["attempts"], one["status"]) == ("applied", 2, 200)
    first, second = wire.requests
    assert second.at - first.at >= 0.99


def test_retry_after_as_a_date_is_waited_for(cli: Cli, wire: Wire) -> None:
    """The date form counts as well, and a 503 can also carry it."""

    def unavailable(_request: object) -> bytes:
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=2.5), usegmt=True)
        return reply(503, b"", [f"Retry-After: {at}"])

    wire.answers = [unavailable, reply()]
    one = apply(cli, code=0)
    assert (one["outcome"], one["attempts"]) == ("applied", 2)
    first, second = wire.requests
    assert second.at - first.at >= 1.4


def test_a_retry_after_beyond_the_deadline_ends_the_attempts_at_once(cli: Cli, wire: Wire) -> None:
    """The run doesn't wait an hour, which the helper would not allow; a 429 is definite, so it is rejected."""
    wire.answers = [reply(429, b"", ["Retry-After: 3600"])]
    one = apply(cli, code=1)
    assert (one["outcome"], one["attempts"], one["status"]) == ("rejected", 1, 429)


@pytest.mark.parametrize(("status", "outcome"), [(429, "rejected"), (425, "rejected"), (503, "uncertain")])
def test_attempts_run_out(cli: Cli, wire: Wire, status: int, outcome: str) -> None:
    """After the last attempt a 429 or 425 is a rejection, and a 503 is uncertain."""
    wire.answers = [reply(status, b"", ["Retry-After: 0"])]
    one = apply(cli, "--attempts", "2", code=1)
    assert (one["outcome"], one["attempts"], one["status"]) == (outcome, 2, status)
    assert len(wire.requests) == 2


def test_a_refusal_after_a_lost_answer_does_not_end_the_doubt(cli: Cli, wire: Wire) -> None:
    """503, then 400: the first attempt may have had an effect, so it stays uncertain."""
    wire.answers = [reply(503, b"", ["Retry-After: 0"]), reply(400)]
    one = apply(cli, code=1)
    assert (one["outcome"], one["attempts"], one["status"]) == ("uncertain", 2, 400)
    wire.answers = [reply(400)]
    assert apply(cli, code=1)["outcome"] == "uncertain"
    wire.answers = [reply()]
    assert apply(cli, code=0)["outcome"] == "applied"


def test_a_transient_error_is_retried(cli: Cli, wire: Wire) -> None:
    """A reset, then a 200: applied, and no longer in doubt."""
    wire.answers = [Reset(), reply()]
    one = apply(cli, code=0)
    assert (one["outcome"], one["attempts"]) == ("applied", 2)
    assert cli.document("loja")["intent"] is None


def test_netrc_is_never_read(cli: Cli, wire: Wire) -> None:
    """A login for the host in the home folder doesn't replace a token."""
    password = canary("netrc")
    cli.canaries.add(password)
    path = cli.home / ".netrc"
    path.write_text(f"machine 127.0.0.1 login ana password {password}\n")
    path.chmod(0o600)
    cli.planted.add(path)
    apply(cli, code=0)
    assert only(wire.requests).header("Authorization") == cli.token("loja")


def test_proxy_variables_are_ignored_for_loopback(cli: Cli, wire: Wire, wires: Callable[[], Wire]) -> None:
    """A token for loopback goes directly there, with any proxy."""
    proxy = wires()
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    cli.environ |= {spelt: proxy.base_url for name in names for spelt in (name, name.lower())}
    apply(cli, code=0)
    assert len(wire.requests) == 1
    assert proxy.connections == 0


def test_rate_limit_spaces_requests(cli: Cli, wire: Wire) -> None:
    """All environments share one rate: four at four a second take most of a second."""
    cli.fleet("a", "b", "c", "d")
    (cli.folder / "manifests/loja.yaml").unlink()
    cli.run("apply", "--yes", "--rate-limit", "4", code=0)
    times = sorted(request.at for request in wire.requests)
    assert len(times) == 4
    assert times[-1] - times[0] >= 0.4


def test_rate_limit_holds_with_a_slow_store(cli: Cli, wire: Wire) -> None:
    """No second has more requests than the limit, even after a store delayed all of them."""
    fcntl = pytest.importorskip("fcntl", reason="POSIX locks")
    cli.fleet(*"abcdefgh")
    (cli.folder / "manifests/loja.yaml").unlink()
    cli.state_folder.mkdir(parents=True)
    with (cli.state_folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = cli.start("apply", "--yes", "--rate-limit", "4", "--concurrency", "8")
        time.sleep(2.5)
        fcntl.flock(lock, fcntl.LOCK_UN)
    assert running.finish().code == 0
    times = sorted(request.at for request in wire.requests)
    assert len(times) == 8
    assert all(later - earlier >= 0.7 for earlier, later in zip(times, times[4:], strict=False))


def test_a_429_slows_the_whole_run_without_any_setting(cli: Cli, wire: Wire) -> None:
    """Retry-After of one answer delays all others, and the retries are no faster than before."""
    names = [f"loja-{number}" for number in range(12)]
    cli.fleet(*names)
    (cli.folder / "manifests/loja.yaml").unlink()
    wire.answers = [*[reply()] * 4, reply(429, b"", ["Retry-After: 2"]), reply()]
    ran = cli.run("apply", "--yes", "--format", "json", "--concurrency", "2", code=0)
    assert set(ran.outcomes.values()) == {"applied"}
    assert [one["attempts"] for one in ran.json["environments"]].count(2) == 1
    times = sorted(request.at for request in wire.requests)
    assert len(times) == 13
    limited_at, later = times[4], times[6:]  # The sixth may have been in flight.
    assert later[0] - limited_at >= 1.9
    assert all(second - first >= 0.05 for first, second in pairwise(later))


def test_an_unknown_limit_of_plug_is_found(cli: Cli, sandbox: Sandbox) -> None:
    """Plug allows ten a second, sixteen slots send: everything is applied, with few 429s."""
    names = [f"loja-{number}" for number in range(40)]
    cli.fleet(*names)
    sandbox.plug.options = replace(sandbox.plug.options, rate_limit=10)
    before = sandbox.plug.requests
    ran = cli.run("apply", "--yes", "--format", "json", "--concurrency", "16", code=0)
    assert set(ran.outcomes.values()) == {"applied"}
    assert sandbox.plug.requests - before <= 40 + 30
