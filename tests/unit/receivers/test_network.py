"""Receivers over real sockets and real TLS: where is connected to, what passes, what is said.

See docs/contract.md#drift.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.receivers import Answer, ProbeResult, find_receivers
from reconciler.core.receivers import Receiver as Checked
from reconciler.errors import InputError
from reconciler.model import EVENTS, CheckResult, CheckStage, Event, ReceiverCheck
from reconciler.plug.examples import example_bodies
from reconciler.receivers.network import HttpReceivers, Resolve
from reconciler.run.check import CheckOptions, CheckWorld, check_receivers
from tests.acceptance.bad_day import world
from tests.fakes import FakeClock, make_desired
from tests.receiver import GIGABYTES, Authority, Receiver, serve_receiver

SECRET = "canary-secret-5f3a"
NAME = "hooks.acme.com.br"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def _trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


Serve = Callable[..., Receiver]


@pytest.fixture
def serve(authority: Authority) -> Iterator[Serve]:
    """Starts receivers with a certificate for localhost and NAME; `plain=True` without TLS."""
    with ExitStack() as stack:

        def start(
            *, names: Sequence[str] = ("localhost", NAME), days: float = 90, begins_in_days: float = -400, **how: Any
        ) -> Receiver:
            made = authority.context(*names, days=days, begins_in_days=begins_in_days)
            tls = None if how.pop("plain", False) else how.pop("tls", None) or made
            return stack.enter_context(serve_receiver(tls, **how))

        yield start


def resolving(*addresses: str, asked: list[tuple[str, int]] | None = None) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if asked is not None:
            asked.append((host, port))
        return addresses

    return resolve


class RealClock(FakeClock):
    """Real instants for certificates; no waiting."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def check(
    *urls: str,
    resolve: Resolve | None = None,
    timeout_s: float = 5,
    local: bool = True,
    post: bool = True,
    event: Event = Event.MESSAGE_STATUS,
    concurrency: int = 8,
) -> CheckResult:
    """Return one environment for each URL, which is in one event; the other events are left out."""
    endpoint = "http://127.0.0.1:1/api/integrations/update-webhooks"
    desired = [
        make_desired(f"e{number:03}", webhooks=dict.fromkeys(EVENTS, url), endpoint=endpoint)
        for number, url in enumerate(urls)
    ]
    receivers = [one for one in find_receivers(desired, allow_local_receivers=local) if one.event is event]

    async def run() -> CheckResult:
        fill = lambda text, environment: text.replace("{secret:PLUG_SECRET_A}", SECRET)  # noqa: E731
        async with HttpReceivers(fill, timeout_s=timeout_s, resolve=resolve) as network:
            world = CheckWorld(network, RealClock(), example_bodies)
            return await check_receivers(receivers, world, CheckOptions(concurrency, None, post))

    result = asyncio.run(run())
    gc.collect()  # a socket left open would be a warning, which is an error
    return result


def check_one(url: str, **how: Any) -> ReceiverCheck:
    (one,) = check(url, **how).receivers
    return one


# --- what passes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS)
def test_every_documented_body_arrives_byte_for_byte(serve: Serve, event: Event) -> None:
    """They are sent as POSTs of JSON with our User-Agent, over one connection."""
    receiver = serve()
    url = receiver.url("/a//b/../%7e?x={secret:PLUG_SECRET_A}&q=\"<'&{{y}}")
    one = check_one(url, event=event)
    assert (one.ok, one.status, one.stage, one.message, one.warning) == (True, 200, CheckStage.POST, "", "")
    assert tuple(request.body for request in receiver.requests) == example_bodies(event)
    for request in receiver.requests:
        assert request.method == "POST"
        assert request.target == f"/a//b/../%7e?x={SECRET}&q=\"<'&{{{{y}}}}"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["user-agent"].startswith("reconciler/")
        assert request.headers["user-agent"].endswith(" check")
        assert request.headers["host"] == f"localhost:{receiver.port}"
        assert request.sni == "localhost"
        assert not {"authorization", "cookie"} & request.headers.keys()
    assert receiver.connections == 2  # the probe, and the POSTs
    assert one.latency_s is not None
    assert one.latency_s < 5
    assert one.certificate_days == 89
    assert "127.0.0.1" in one.addresses


def test_plain_http_on_loopback_has_no_certificate(serve: Serve) -> None:
    """A local receiver may use it."""
    receiver = serve(plain=True)
    one = check_one(receiver.url("/x?"))
    assert (one.ok, one.certificate_days, receiver.requests[0].target) == (True, None, "/x?")


def test_without_post_the_check_ends_after_tls(serve: Serve) -> None:
    """Nothing is sent, and the certificate is looked at."""
    receiver = serve(days=12)
    result = check(receiver.url("/500"), post=False)
    one = result.receivers[0]
    assert (one.ok, one.stage, one.status, one.certificate_days) == (True, CheckStage.TLS, None, 11)
    assert one.latency_s is not None
    assert receiver.requests == []
    assert not result.posted


@pytest.mark.parametrize(("days", "warned"), [(20.5, True), (21.5, False), (0.5, True)])
def test_a_certificate_near_its_end_is_a_warning(serve: Serve, days: float, warned: bool) -> None:
    """The limit is 21 whole days; the receiver passes."""
    one = check_one(serve(days=days).url())
    assert one.ok
    assert bool(one.warning) == warned
    assert one.certificate_days == int(days)
    if days < 1:
        assert one.warning == "the certificate of localhost expires in less than a day"


def test_an_answer_of_gigabytes_is_not_read(serve: Serve) -> None:
    """It passes after 64 KiB, and the server's sending ends."""
    receiver = serve()
    one = check_one(receiver.url("/flood"), timeout_s=10)
    assert one.ok
    assert receiver.sent_bytes < GIGABYTES / 100


def test_a_slow_receiver_passes_and_its_latency_is_reported(serve: Serve) -> None:
    """From the first byte of the POST to the last of the answer."""
    one = check_one(serve().url("/slow"))
    assert one.ok
    assert one.latency_s is not None
    assert one.latency_s >= 0.3


# --- what fails ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/302", 302, "a redirect, which is never followed"),
        ("/308", 308, "a redirect, which is never followed"),
        ("/500", 500, "the receiver failed"),
        ("/404", 404, "nothing at this path"),
        ("/405", 405, "takes no POST"),
        ("/401", 401, "secret in the URL"),
        ("/418", 418, "refused the example"),
        ("/echo", 500, "the receiver failed"),
        ("/cut", None, "answered 200, but localhost closed the connection before the answer was complete"),
        ("/drip", None, "answered 200, but localhost did not finish its answer within 1 s"),
        ("/hang", None, "localhost did not answer within 1 s"),
        ("/mute", None, "localhost closed the connection without an answer"),
        ("/reset", None, "the connection to localhost was reset"),
        ("/junk", None, "the answer of localhost is not valid HTTP"),
    ],
)
def test_anything_but_a_whole_2xx_fails(serve: Serve, path: str, status: int | None, message: str) -> None:
    """With the status and a reason; a redirect is not followed; nothing of the answer or the URL is repeated."""
    receiver = serve()
    one = check_one(receiver.url(f"{path}?key={{secret:PLUG_SECRET_A}}"), timeout_s=1)
    assert (one.ok, one.status, one.stage) == (False, status, CheckStage.POST)
    assert message in one.message
    assert SECRET not in repr(one)
    assert "{secret:PLUG_SECRET_A}" in one.url
    assert len(receiver.requests) == 1


def test_one_of_two_bodies_may_fail(serve: Serve) -> None:
    """The message names it: a receiver must accept both forms of the categories."""
    one = check_one(serve().url("/500"), event=Event.FINISH_ATTENDANCE)
    assert one.message.startswith("example 1: answered 500")


@pytest.mark.parametrize(
    ("names", "days", "message"),
    [
        (("localhost",), -1, "the certificate of localhost has expired"),
        (("other.acme.com.br",), 90, "is for another name"),
    ],
)
def test_a_bad_certificate_fails_at_tls(serve: Serve, names: Sequence[str], days: float, message: str) -> None:
    """It is expired or for another name, and nothing is sent."""
    receiver = serve(names=names, days=days)
    one = check_one(receiver.url())
    assert (one.ok, one.stage, one.certificate_days) == (False, CheckStage.TLS, None)
    assert message in one.message
    assert receiver.requests == []


def test_a_certificate_of_the_day_after_tomorrow_fails_at_tls(serve: Serve) -> None:
    """The clock of this machine may be slow."""
    receiver = serve(begins_in_days=2)
    one = check_one(receiver.url())
    assert (one.ok, one.stage, one.message) == (False, CheckStage.TLS, "the certificate of localhost is not valid yet")
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("hello", "reported"),
    [
        (b"", "the connection to localhost was closed during the TLS handshake"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "TLS with localhost failed"),  # a fatal alert: handshake_failure
        (b"SSH-2.0-OpenSSH_9.6\r\n", "localhost does not speak TLS on this port"),
    ],
)
def test_a_handshake_that_fails_is_reported(hello: bytes, reported: str) -> None:
    """The message begins in our words; a reason of OpenSSL, which differs between its versions, may follow."""

    def talk(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(hello)

    with world.serve(talk) as server:
        one = check_one(f"https://localhost:{server.port}/x", resolve=resolving("127.0.0.1"))
    assert (one.ok, one.stage) == (False, CheckStage.TLS)
    assert one.message.startswith(reported)


def test_an_unknown_authority_fails_at_tls(serve: Serve, tmp_path: Path) -> None:
    """SSL_CERT_FILE names the one that is trusted here."""
    other = Authority(tmp_path).context("localhost")
    one = check_one(serve(tls=other).url())
    assert (one.ok, one.stage) == (False, CheckStage.TLS)
    assert one.message.startswith("the issuer of the certificate of localhost is not trusted: ")


def test_a_server_that_never_speaks_tls_ends_at_the_timeout(serve: Serve) -> None:
    """Neither silence nor plain HTTP holds the check up."""
    silent, plain = serve(speaks=False), serve(plain=True)
    hanging = check_one(silent.url().replace("http:", "https:"), timeout_s=0.5)
    assert (hanging.stage, hanging.message) == (
        CheckStage.TLS,
        "no TLS with localhost within 0.5 s. Check the URL: is it an https server?",
    )
    one = check_one(plain.url().replace("http:", "https:"), timeout_s=2)
    assert (one.stage, one.message) == (CheckStage.TLS, "localhost does not speak TLS on this port")


def test_a_refused_connection_names_address_and_port(serve: Serve) -> None:
    """Nothing listens at the port."""
    with serve_receiver(None) as gone:
        url = gone.url()
    one = check_one(url, resolve=resolving("127.0.0.1"))
    assert (one.stage, one.message) == (
        CheckStage.CONNECT,
        f"the connection to 127.0.0.1 port {gone.port} was refused",
    )


def test_a_host_that_swallows_what_is_sent_ends_at_the_timeout() -> None:
    """It may be a firewall; here it is a server whose queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        one = check_one(f"https://localhost:{port}/x", resolve=resolving("127.0.0.1"), timeout_s=0.3)
    assert (one.ok, one.stage) == (False, CheckStage.CONNECT)
    assert one.message == f"no connection to 127.0.0.1 port {port} within 0.3 s"


def test_each_address_is_tried_and_the_first_reason_is_reported(serve: Serve) -> None:
    """All of 127.0.0.0/8 is this machine; the receiver listens at one address of it."""
    receiver = serve()
    one = check_one(receiver.url(host=NAME), resolve=resolving("127.0.0.2", "127.0.0.1"))
    assert one.ok
    with serve_receiver(None) as gone:
        url = gone.url(host=NAME).replace("http:", "https:")
    one = check_one(url, resolve=resolving("127.0.0.2", "127.0.0.1"))
    assert (one.stage, one.message) == (
        CheckStage.CONNECT,
        f"the connection to 127.0.0.2 port {gone.port} was refused",
    )


def test_a_name_that_is_not_found_says_so() -> None:
    """A name without an address is reported too."""
    one = check_one("https://nobody.invalid/x")
    assert (one.ok, one.stage, one.message) == (False, CheckStage.DNS, "the name of nobody.invalid was not found")
    assert check_one(f"https://{NAME}/x", resolve=resolving()).message == f"the name {NAME} has no address"


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "was not found"),
        (
            socket.gaierror(socket.EAI_AGAIN, "x"),
            "was not resolved: the name server did not answer",
        ),
        (socket.gaierror(socket.EAI_FAIL, "x"), "was not resolved"),
        (OSError("x"), "was not resolved"),
        (UnicodeError("x"), "was not resolved"),
    ],
)
def test_a_name_server_that_fails_is_reported_in_our_words(error: Exception, reported: str) -> None:
    """The message says whether a retry may help."""

    async def fail(host: str, port: int) -> Sequence[str]:
        raise error

    one = check_one(f"https://{NAME}/x", resolve=fail)
    assert (one.stage, one.message) == (CheckStage.DNS, f"the name of {NAME} {reported}")


def test_a_name_server_that_hangs_ends_at_the_timeout() -> None:
    """The other receivers are checked meanwhile."""

    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return ()

    one = check_one(f"https://{NAME}/x", resolve=hang, timeout_s=0.2)
    assert (one.stage, one.message) == (CheckStage.DNS, f"the name of {NAME} was not resolved within 0.2 s")


# --- where is connected to -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["10.0.0.7", "192.168.1.1", "169.254.169.254", "127.0.0.1", "::1", "fe80::1%2", "::ffff:127.0.0.1", "fd00::1",
     "100.64.0.1", "0.0.0.0", "64:ff9b::a00:7", "224.0.0.1", "no address"],
)  # fmt: skip
def test_a_public_name_with_a_private_address_is_not_connected_to(serve: Serve, address: str) -> None:
    """The rule holds after name resolution, and nothing is tried."""
    receiver = serve()
    one = check_one(receiver.url(host=NAME), resolve=resolving(address), local=False)
    assert (one.ok, one.stage, one.addresses) == (False, CheckStage.DNS, (address,))
    assert "private or special" in one.message
    assert receiver.connections == 0


@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1"])
def test_local_receivers_are_those_on_loopback(serve: Serve, address: str) -> None:
    """allow_local_receivers allows loopback, but not the network around this machine."""
    one = check_one(serve().url(host=NAME), resolve=resolving(address))
    assert (one.ok, one.stage) == (False, CheckStage.DNS)


def test_the_address_that_was_judged_is_the_one_connected_to(serve: Serve) -> None:
    """The name is resolved once, and is in SNI, Host and certificate. A later answer changes nothing."""
    receiver = serve(names=(NAME,))
    asked: list[tuple[str, int]] = []
    urls = [receiver.url(f"/{number}", host=NAME) for number in range(5)]
    result = check(*urls, resolve=resolving("127.0.0.1", asked=asked))
    assert all(one.ok for one in result.receivers)
    assert asked == [(NAME, receiver.port)]
    assert {request.sni for request in receiver.requests} == {NAME}
    assert {request.headers["host"] for request in receiver.requests} == {f"{NAME}:{receiver.port}"}


def test_a_private_address_beside_a_public_one_is_left_out_and_reported(serve: Serve) -> None:
    """Plug can reach only one of them."""
    receiver = serve()
    one = check_one(receiver.url(host=NAME), resolve=resolving("10.0.0.7", "127.0.0.1"))
    assert one.ok
    assert one.addresses == ("10.0.0.7", "127.0.0.1")
    assert one.warning == f"{NAME} also resolves to 1 private or special address, which Plug can't reach"


def test_a_proxy_is_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would resolve the name itself."""
    proxy, receiver = serve(plain=True), serve()
    for name in ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy.url())
    assert check_one(receiver.url(host=NAME), resolve=resolving("127.0.0.1")).ok
    assert proxy.connections == 0


def test_unreadable_certificates_of_ours_are_an_input_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user must correct SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
    with pytest.raises(InputError, match="SSL_CERT_FILE"):
        check_one("https://localhost/")


# --- many ------------------------------------------------------------------------------------------


def test_a_hundred_environments_behind_one_host_make_few_connections(serve: Serve) -> None:
    """There is one probe, and at most one connection for each worker."""
    receiver = serve()
    result = check(*(receiver.url(f"/{number}") for number in range(100)), concurrency=4)
    assert all(one.ok for one in result.receivers)
    assert len(receiver.requests) == 100
    assert receiver.connections <= 1 + 4
    assert [one.environments for one in result.receivers] == [(f"e{number:03}",) for number in range(100)]


def test_an_idle_connection_that_was_closed_is_not_a_fault(serve: Serve) -> None:
    """A server may close an idle connection at any time; every body still arrives once."""
    receiver = serve(goodbyes=3)
    result = check(*(receiver.url(f"/{number}") for number in range(30)), concurrency=2)
    assert [one.message for one in result.receivers if not one.ok] == []
    assert len(receiver.requests) == 30


def test_a_receiver_that_answers_no_second_call_is_called_again_once(serve: Serve) -> None:
    """Over a new connection: the kept one may just have been closed. Then it is the receiver's fault."""
    receiver = serve()
    fine, mute = check(receiver.url("/fine"), receiver.url("/mute"), concurrency=1).receivers
    assert (fine.ok, mute.ok) == (True, False)
    assert mute.message == "localhost closed the connection without an answer"
    assert [request.target for request in receiver.requests] == ["/fine", "/mute", "/mute"]
    assert len({request.connection for request in receiver.requests}) == 2


@pytest.mark.parametrize(
    ("then", "stage", "reported"),
    [
        (
            "refuses",
            CheckStage.CONNECT,
            "the connection to localhost was refused, after an earlier one was accepted",
        ),
        ("resets", CheckStage.TLS, "the connection to localhost was closed during the TLS handshake"),
        ("hangs", CheckStage.TLS, "no TLS with localhost within 0.5 s"),
    ],
)
def test_a_receiver_that_accepts_only_one_connection_is_reported(
    authority: Authority, then: str, stage: CheckStage, reported: str
) -> None:
    """The server may limit connections for each client. Nothing was sent, and the stage says so."""
    tls = authority.context("localhost")
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_once() -> None:
        first, _ = listener.accept()
        if then == "refuses":
            listener.close()
        with contextlib.suppress(OSError), first, tls.wrap_socket(first, server_side=True) as wrapped:
            wrapped.recv(1)
        if then != "refuses":
            second, _ = listener.accept()
            with second:
                if then == "hangs":
                    ended.wait(20)
                else:
                    second.recv(1)
                    second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    port = listener.getsockname()[1]
    thread = threading.Thread(target=serve_once)
    thread.start()
    with listener:
        one = check_one(f"https://localhost:{port}/x", resolve=resolving("127.0.0.1"), timeout_s=0.5)
        ended.set()
        thread.join()
    assert (one.ok, one.stage, one.status, one.message) == (False, stage, None, reported)


def test_a_dead_receiver_behind_many_is_not_waited_for_again_and_again(serve: Serve) -> None:
    """After twenty POSTs in a row without an answer the rest of that host fails at once, and says why."""
    dead, good = serve(), serve()
    urls = [*(dead.url(f"/{number}/hang") for number in range(60)), good.url("/good")]
    result = check(*urls, timeout_s=1.0, concurrency=8)
    assert [one.ok for one in result.receivers] == [False] * 60 + [True]
    assert 20 <= len(dead.requests) < 20 + 8
    assert "not called: the last 20 calls to localhost got no whole answer" in result.receivers[59].message


def test_a_cookie_of_one_receiver_is_not_sent_to_another(serve: Serve) -> None:
    """No cookie is kept between calls."""
    receiver = serve()
    check(*(receiver.url(f"/{number}/echo") for number in range(5)), concurrency=1)
    assert all("cookie" not in request.headers for request in receiver.requests)


def test_the_types_show_no_secret() -> None:
    """The objects hold only the text form."""
    (receiver, *_) = find_receivers(
        [make_desired(webhooks=dict.fromkeys(EVENTS, "https://a.acme.com.br/?k={secret:PLUG_SECRET_A}"))],
        allow_local_receivers=False,
    )
    shown = json.dumps([repr(receiver), repr(ProbeResult(CheckStage.DNS)), repr(Answer(CheckStage.POST))])
    assert isinstance(receiver, Checked)
    assert "{secret:PLUG_SECRET_A}" in shown
