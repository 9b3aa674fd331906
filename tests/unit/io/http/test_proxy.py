"""The rule for proxies, and requests through working and failing ones (docs/settings.md, docs/contract.md#messages)."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx
import pytest

from reconciler.core.answers import End
from reconciler.io.http.causes import Hop
from reconciler.io.http.client import Connections, Reply
from reconciler.io.http.proxy import UnusableProxy, find_proxy, parse_proxy
from tests.receiver import Authority
from tests.wire import answering, http, read_head, read_request, server

Got = TypeVar("Got")
PLUG = "https://www.plugchat.com.br/x"
HOP = Hop("Plug (www.plugchat.com.br)", "api.base_url")


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (PLUG, {}, None),
        (PLUG, {"HTTPS_PROXY": "http://proxy:3128"}, "proxy:3128"),
        (PLUG, {"https_proxy": "proxy:3128"}, "proxy:3128"),
        (PLUG, {"https_proxy": " proxy:3128/ "}, "proxy:3128"),
        (PLUG, {"HTTPS_PROXY": "http://[::1]:3128"}, "[::1]:3128"),
        (PLUG, {"HTTPS_PROXY": "http://proxy.acme"}, "proxy.acme:80"),
        (PLUG, {"HTTPS_PROXY": "https://proxy.acme"}, "proxy.acme:443"),
        (PLUG, {"ALL_PROXY": "http://proxy:1"}, "proxy:1"),
        (PLUG, {"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "b:1"),
        (PLUG, {"HTTP_PROXY": "http://proxy:1"}, None),
        (PLUG, {"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "a:1"),
        (PLUG, {"HTTPS_PROXY": "http://b:1", "https_proxy": "http://a:1"}, "a:1"),
        (PLUG, {"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, None),
        (PLUG, {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "plugchat.com.br"}, None),
        (PLUG, {"HTTPS_PROXY": "http://proxy:1", "no_proxy": "www.plugchat.com.br:443, x"}, None),
        (PLUG, {"HTTPS_PROXY": "http://proxy:1", "no_proxy": "www.plugchat.com.br:8443"}, "proxy:1"),
        (PLUG, {"HTTPS_PROXY": "http://proxy:1", "no_proxy": "x,*.plugchat.com.br"}, None),
        (PLUG, {"HTTPS_PROXY": "http://proxy:1", "no_proxy": "chat.com.br, *.www.plugchat.com.br:1"}, "proxy:1"),
        (PLUG, {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": " * "}, None),
        (PLUG, {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        ("https://localhost/x", {"HTTPS_PROXY": "http://proxy:1"}, None),
        ("http://127.0.0.1/x", {"HTTP_PROXY": "http://proxy:1", "ALL_PROXY": "http://proxy:1"}, None),
    ],
)
def test_a_proxy_is_for_https_beyond_this_machine(url: str, environ: dict[str, str], proxy: str | None) -> None:
    """See docs/settings.md."""
    found = find_proxy(url, environ)
    assert (found and found.address) == proxy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("socks5://ana:canary@proxy:1080", "SOCKS proxies are not supported"),
        ("socks5h://proxy", "SOCKS proxies are not supported"),
        ("socks4://proxy", "SOCKS proxies are not supported"),
        ("ftp://ana:canary@proxy", "not a valid proxy address"),
        ("http://", "not a valid proxy address"),
        ("http://ana:canary@[", "not a valid proxy address"),
        ("http://proxy:canary", "not a valid proxy address"),
        ("http://proxy:99999", "not a valid proxy address"),
        ("http://pro\x1bxy:1", "not a valid proxy address"),
        ("http://pröxy:1", "not a valid proxy address"),
        ("::::", "not a valid proxy address"),
        ("http://ana:12/canary@proxy:3128", "not a valid proxy address"),
        ("http://ana:12?canary@proxy:3128", "not a valid proxy address"),
        ("http://ana:12#canary@proxy:3128", "not a valid proxy address"),
        ("https//ana:canary@proxy:3128", "not a valid proxy address"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_an_unusable_proxy_is_reported_by_its_variable(variable: str, text: str, message: str) -> None:
    """Its value is not repeated, because it may hold a password."""
    with pytest.raises(UnusableProxy) as raised:
        find_proxy(PLUG, {variable: text})
    assert str(raised.value) == f"{variable}: {message} (unset it, or write http://HOST:PORT)"


@pytest.mark.parametrize("password", ["n\udce3o", "n%E3o"])
def test_a_proxys_password_arrives_byte_for_byte(password: str) -> None:
    """A byte that is not UTF-8 may be in the variable itself, or percent-encoded."""
    assert parse_proxy("HTTPS_PROXY", f"http://ana:{password}@proxy").authorization == "Basic YW5hOm7jbw=="


def test_a_proxys_password_is_not_in_its_text() -> None:
    """Percent-encoding is undone, as in any URL."""
    proxy = parse_proxy("HTTPS_PROXY", "http://ana:ca%40nary@proxy:3128")
    assert proxy.authorization == "Basic YW5hOmNhQG5hcnk="
    assert "nary" not in repr(proxy) and "ana" not in repr(proxy)
    assert parse_proxy("X", "http://proxy").authorization is None
    assert parse_proxy("X", "http://ana@proxy").authorization == "Basic YW5hOg=="


# --- through one ---------------------------------------------------------------------------------------


def send(environ: dict[str, str], *, url: str = PLUG, timeout_s: float = 5) -> Reply:
    async def run() -> Reply:
        async with Connections(environ, timeout_s=timeout_s) as connections:
            request = httpx.Request("PUT", url, headers={"Authorization": "canary-token"}, content=b"{}")
            return await connections.send(request, HOP)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def _trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


def relay(client: socket.socket, behind: socket.socket) -> None:
    """Copy both ways until one side has closed.

    It uses one thread, because a TLS socket must not be read while it is written.
    """
    while True:
        waiting = isinstance(client, ssl.SSLSocket) and client.pending() > 0
        readable = [client] if waiting else select.select([client, behind], [], [])[0]
        for source in readable:
            data = source.recv(65536)
            if not data:
                return
            (behind if source is client else client).sendall(data)


@contextlib.contextmanager
def tunnelling(to: int, heads: list[bytes], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve a proxy whose tunnels all lead to one port of this machine; return the proxy's port."""

    def talk(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: y\r\n\r\n")
        with socket.create_connection(("127.0.0.1", to)) as behind:
            relay(connection, behind)

    with server(talk, tls) as port:
        yield port


@pytest.mark.parametrize("user", ["", "ana:s3cret@"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_tunnel_carries_the_request_and_the_proxy_sees_no_token(authority: Authority, scheme: str, user: str) -> None:
    """There is one CONNECT with the proxy's password, and TLS with Plug inside; an https proxy itself gets TLS."""
    heads: list[bytes] = []
    seen: list[bytes] = []
    plug = server(answering(http("200 OK", b"{}"), seen), authority.context("www.plugchat.com.br"))
    own_tls = authority.context("localhost") if scheme == "https" else None
    with plug as behind, tunnelling(behind, heads, own_tls) as port:
        reply = send({"HTTPS_PROXY": f"{scheme}://{user}localhost:{port}"})
    assert (reply.arrived.status, reply.arrived.end, reply.failure) == (200, End.CERTAIN, None)
    (head,) = heads
    authorization = b"Proxy-Authorization: Basic YW5hOnMzY3JldA==\r\n" if user else b""
    target = b"www.plugchat.com.br:443"
    assert head == b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n" + authorization + b"\r\n"
    assert b"canary-token" in seen[0] and b"Proxy-Authorization" not in seen[0]


ASKS_FOR_HTTP = "Check HTTPS_PROXY: is it an HTTP proxy?"


@pytest.mark.parametrize(
    ("answer", "explanation"),
    [
        (
            b"HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic\r\n\r\n",
            "{proxy} answered 407. It does not accept the user and password of HTTPS_PROXY",
        ),
        (
            b"HTTP/1.1 403 \x1b[31m\r\n\r\n",
            "{proxy} answered 403. It does not let this connection through: ask who runs it",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "{proxy} answered 502. It did not reach the server behind it"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "{proxy} answered 404. " + ASKS_FOR_HTTP),
        (b"what?\r\n\r\n", "the answer of {proxy} is not valid HTTP. " + ASKS_FOR_HTTP),
        (b"HTTP/1.1 200 OK\r\n\r\nsurplus", "the answer of {proxy} is not valid HTTP. " + ASKS_FOR_HTTP),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000, "the answer of {proxy} is not valid HTTP. " + ASKS_FOR_HTTP),
        (b"", "{proxy} closed the connection without an answer. " + ASKS_FOR_HTTP),
        (
            b"HTTP/1.1 200 OK\r\n\r\n",
            "the connection to Plug (www.plugchat.com.br) was closed during the TLS handshake. "
            "Check api.base_url, and whether a firewall is in the way",
        ),
    ],
)
def test_a_proxy_that_fails_is_called_a_proxy(answer: bytes, explanation: str) -> None:
    """The message has its host and port, but not its password; no byte of the request was written."""

    def talk(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(answer)

    with server(talk) as port:
        reply = send({"HTTPS_PROXY": f"http://ana:canary@localhost:{port}"})
    assert reply.failure is not None
    assert reply.failure.explain() == explanation.format(proxy=f"the proxy localhost:{port}")
    assert not reply.exchange.written
    assert reply.arrived.status is None


def test_a_bad_certificate_behind_a_proxy_is_plugs(authority: Authority) -> None:
    """The failed hop is Plug, or a server that poses as it."""
    heads: list[bytes] = []
    plug = server(answering(http("200 OK")), authority.context("other.acme.com.br"))
    with plug as behind, tunnelling(behind, heads) as port:
        reply = send({"HTTPS_PROXY": f"http://localhost:{port}"})
    assert reply.failure is not None
    assert reply.failure.describe() == "the certificate of Plug (www.plugchat.com.br) is for another name"


def test_a_bad_certificate_of_a_proxy_is_the_proxys(authority: Authority) -> None:
    """An https proxy has its own certificate."""
    with tunnelling(1, [], authority.context("other.acme.com.br")) as port:
        reply = send({"ALL_PROXY": f"https://localhost:{port}"})
    assert reply.failure is not None
    assert reply.failure.explain() == (
        f"the certificate of the proxy localhost:{port} is for another name. "
        "Check ALL_PROXY: does another server answer at this name?"
    )


def test_a_missing_proxy_is_called_a_proxy() -> None:
    """It refuses, or its name is not found; the request never bypasses it."""
    with server(lambda connection: None) as port:
        gone = port
    reply = send({"HTTPS_PROXY": f"http://ana:canary@127.0.0.1:{gone}"})
    assert reply.failure is not None
    assert reply.failure.explain() == (
        f"the connection to the proxy 127.0.0.1:{gone} was refused. "
        "Check HTTPS_PROXY, and whether a firewall is in the way"
    )
    reply = send({"HTTPS_PROXY": "http://ana:canary@proxy.invalid:3128"})
    assert reply.failure is not None
    assert reply.failure.explain() == (
        "the name of the proxy proxy.invalid:3128 was not found. Check HTTPS_PROXY and this machine's DNS"
    )


def test_a_tunnel_is_kept_like_any_connection(authority: Authority) -> None:
    """The second request does not ask for another tunnel."""
    heads: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        for _ in range(2):
            read_request(connection)
            connection.sendall(http("200 OK", b"{}"))

    async def run(port: int) -> list[Reply]:
        async with Connections({"HTTPS_PROXY": f"localhost:{port}"}, timeout_s=5) as connections:
            return [await connections.send(httpx.Request("PUT", PLUG, content=b"{}"), HOP) for _ in range(2)]

    with server(talk, authority.context("www.plugchat.com.br")) as behind, tunnelling(behind, heads) as port:
        replies = asyncio.run(run(port))
    assert [(reply.arrived.status, reply.exchange.reused) for reply in replies] == [(200, False), (200, True)]
    assert len(heads) == 1


class Tls:
    """The server's side of TLS over any byte stream."""

    def __init__(self, context: ssl.SSLContext, receive: Callable[[], bytes], send: Callable[[bytes], object]) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._receive, self._send = receive, send
        self._repeat(self._tls.do_handshake)
        self.flush()

    def receive(self) -> bytes:
        return self._repeat(lambda: self._tls.read(65536))

    def write(self, *records: bytes) -> bytes:
        """Return one record for each text, as it would be sent."""
        for record in records:
            self._tls.write(record)
        return self._outgoing.read()

    def flush(self) -> None:
        if waiting := self._outgoing.read():
            self._send(waiting)

    def _repeat(self, step: Callable[[], Got]) -> Got:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                received = self._receive()
                if not received:
                    raise OSError("the client has gone") from None
                self._incoming.write(received)


def test_a_surplus_behind_a_proxy_with_tls_is_noticed(authority: Authority) -> None:
    """It waits in the TLS with the proxy, where neither the socket nor the TLS with Plug shows it."""
    contexts = [authority.context(name) for name in ("localhost", "www.plugchat.com.br")]
    answers = [[http("200 OK", b"{}"), http("200 OK", b"{}")], [http("403 Forbidden")]]

    def talk(connection: socket.socket) -> None:
        outer = Tls(contexts[0], lambda: connection.recv(65536), connection.sendall)
        outer.receive()
        connection.sendall(outer.write(b"HTTP/1.1 200 OK\r\n\r\n"))
        inner = Tls(contexts[1], outer.receive, lambda data: connection.sendall(outer.write(data)))
        while True:
            inner.receive()
            # a record for each answer, each in a record of the proxy's, all in one segment
            connection.sendall(b"".join(outer.write(inner.write(answer)) for answer in answers.pop(0)))

    async def run(port: int) -> list[Reply]:
        async with Connections({"HTTPS_PROXY": f"https://localhost:{port}"}, timeout_s=5) as connections:
            return [await connections.send(httpx.Request("PUT", PLUG, content=b"{}"), HOP) for _ in range(2)]

    with server(talk) as port:
        replies = asyncio.run(run(port))
    assert [(reply.arrived.status, reply.exchange.reused) for reply in replies] == [(200, False), (403, False)]
