"""Receivers over the network: names, connections, TLS, and POSTs of the documented bodies (CONTRACT §8).

A name is resolved once. Its addresses are judged, and what is connected to is exactly the one that took the first
connection, by its number: a second answer of a name server can't lead anywhere else. The name still stands in the
Host header, in TLS's SNI, and is what the certificate must be for.

A proxy is not used, though HTTPS_PROXY may be set: it would resolve the name itself and connect wherever that leads,
so that no rule about addresses could be kept; and Plug, whose part is played here, doesn't go through it either.

The filled-in URL holds secrets. It is built here, in `post`, and goes nowhere but onto the wire: no message quotes it,
nor a library's error, nor the answer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeAlias

import httpx

from reconciler import __version__
from reconciler.core.receivers import Answer, Place, ProbeResult, Receiver, choose_addresses, is_address
from reconciler.core.urls import split_url
from reconciler.errors import InputError
from reconciler.io.http.opening import Opening
from reconciler.model import CheckStage

USER_AGENT = f"reconciler/{__version__} check"
MAX_ANSWER_BYTES = 64 * 1024
RESOLVERS = 32  # threads; a name server that keeps silent holds one for many seconds

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class HttpReceivers:
    """The `Receivers` port. `fill` gives a URL as it is sent from its text form; `resolve` a name's addresses.

    Entering it raises InputError where SSL_CERT_FILE or SSL_CERT_DIR name what can't be read.
    """

    def __init__(self, fill: Callable[[str], str], *, timeout_s: float, resolve: Resolve | None = None) -> None:
        self._fill = fill
        self._timeout_s = timeout_s
        self._resolve = resolve or self._ask_resolver
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")
        self._tls: ssl.SSLContext | None = None
        # a client a worker, as in the PUT: shared pools slow down; the transport alone, as a client keeps cookies
        self._idle: dict[Place, list[httpx.AsyncHTTPTransport]] = {}

    async def __aenter__(self) -> HttpReceivers:
        try:
            self._tls = httpx.create_ssl_context()  # certifi's roots, or those of SSL_CERT_FILE or SSL_CERT_DIR
            # of SSLKEYLOGFILE: with the keys in there a record of the wire shows the secrets
            self._tls.keylog_filename = None  # type: ignore[assignment]
            self._tls.load_default_certs()  # and the system's
        except OSError as error:  # ssl.SSLError too
            message = "SSL_CERT_FILE or SSL_CERT_DIR: no certificates can be read there (unset it, or mend the path)"
            raise InputError(message) from error
        self._tls.set_alpn_protocols(["http/1.1"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in list(self._idle):
            await self.leave(place)
        # not waited for: a resolver that hangs in there can't be called back
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- looking -----------------------------------------------------------------------------------

    async def probe(self, place: Place) -> ProbeResult:
        try:
            async with asyncio.timeout(self._timeout_s):
                found = tuple(dict.fromkeys(await self._find(place)))
        except TimeoutError:
            return ProbeResult(CheckStage.DNS, message=f"the name {place.host} was not resolved within {self._limit}")
        except (OSError, UnicodeError) as error:
            return ProbeResult(CheckStage.DNS, message=_describe_dns(place.host, error))
        usable = choose_addresses(found, allow_local=place.allow_local)
        if not usable:
            if not found:
                return ProbeResult(CheckStage.DNS, message=f"the name {place.host} has no address")
            shown = ", ".join(found[:4]) + (", …" if len(found) > 4 else "")
            message = f"{place.host} leads to a private or special address ({shown}): nothing is sent there"
            return ProbeResult(CheckStage.DNS, found, message=message)
        return await self._connect(place, found, usable)

    async def _find(self, place: Place) -> Sequence[str]:
        return (place.host,) if is_address(place.host) else await self._resolve(place.host, place.port)

    async def _ask_resolver(self, host: str, port: int) -> Sequence[str]:
        def ask() -> list[str]:
            return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)

    async def _connect(self, place: Place, found: tuple[str, ...], usable: Sequence[str]) -> ProbeResult:
        """The first address that takes a connection; each has its share of the time that is left."""
        end = time.monotonic() + self._timeout_s
        reason = ""
        for number, address in enumerate(usable):
            begun = time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, end - begun) / (len(usable) - number)):
                    _, writer = await asyncio.open_connection(address, place.port)
            except TimeoutError:
                reason = reason or f"no connection to {address} port {place.port} within {self._limit}"
                continue
            except OSError as error:
                reason = reason or f"the connection to {address} port {place.port} {_describe_connect(error)}"
                continue
            try:
                return await self._shake_hands(
                    place, ProbeResult(CheckStage.CONNECT, found, address), writer, begun, end
                )
            finally:
                # at once: nothing was sent, and a server that keeps silent would not answer a goodbye either
                writer.transport.abort()
        return ProbeResult(CheckStage.CONNECT, found, message=reason)

    async def _shake_hands(
        self, place: Place, probe: ProbeResult, writer: asyncio.StreamWriter, begun: float, end: float
    ) -> ProbeResult:
        connected = ProbeResult(
            CheckStage.CONNECT, probe.addresses, probe.address, seconds=_round(time.monotonic() - begun)
        )
        if place.scheme == "http":
            return connected
        assert self._tls is not None, "entered first"
        try:
            async with asyncio.timeout(max(0.0, end - time.monotonic())):
                await writer.start_tls(self._tls, server_hostname=place.host)
        except TimeoutError:
            message = f"no TLS within {self._limit}: is it an https server?"
        except (OSError, EOFError) as error:  # ssl.SSLError too
            message = _describe_tls(error)
        else:
            certificate = writer.get_extra_info("peercert") or {}
            return ProbeResult(
                CheckStage.TLS,
                probe.addresses,
                probe.address,
                certificate_until=_until(certificate),
                seconds=_round(time.monotonic() - begun),
            )
        return ProbeResult(CheckStage.TLS, probe.addresses, probe.address, message=message)

    # --- calling -----------------------------------------------------------------------------------

    async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
        idle = self._idle.setdefault(receiver.place, [])
        used_before = bool(idle)
        transport = idle.pop() if idle else self._make_transport()
        call = _Call(self._limit)
        answer = await self._send(transport, self._request(receiver, probe, body, call), call)
        if call.unanswered and used_before:
            # the server closed a connection that it had kept open, just as we took it up: no fault of its own
            await transport.aclose()
            transport = self._make_transport()
            call = _Call(self._limit)
            answer = await self._send(transport, self._request(receiver, probe, body, call), call)
        if answer.status is None:
            await transport.aclose()
        else:
            idle.append(transport)
        return answer

    def _make_transport(self) -> httpx.AsyncHTTPTransport:
        assert self._tls is not None, "entered first"
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        return httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False, limits=limits)

    def _request(self, receiver: Receiver, probe: ProbeResult, body: bytes, call: _Call) -> httpx.Request:
        """To the address that was looked at; with the name wherever a name is seen, and the target byte for byte."""
        place = receiver.place
        assert probe.address is not None, "looked at first"
        host = f"[{probe.address}]" if ":" in probe.address else probe.address
        _, authority, target = split_url(self._fill(receiver.url))
        headers = {
            "Host": authority,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
        }
        extensions: dict[str, Any] = {"target": target.encode("ascii"), "trace": call.opening.trace}
        if place.scheme == "https":
            extensions["sni_hostname"] = place.host
        url = f"{place.scheme}://{host}:{place.port}/"
        return httpx.Request("POST", url, headers=headers, content=body, extensions=extensions)

    async def _send(self, transport: httpx.AsyncHTTPTransport, request: httpx.Request, call: _Call) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await transport.handle_async_request(request)
                call.status = response.status_code
                try:
                    await _read_limited(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            await call.opening.close()
            return call.timed_out()
        except (httpx.HTTPError, OSError) as error:
            return call.broken_off(error)
        return Answer(CheckStage.POST, response.status_code, call.latency_s)

    async def leave(self, place: Place) -> None:
        for transport in self._idle.pop(place, ()):
            await transport.aclose()

    @property
    def _limit(self) -> str:
        return f"{self._timeout_s:g} s"


class _Call:
    """One POST: how far it came, and when its first byte left."""

    def __init__(self, limit: str) -> None:
        self.status: int | None = None
        self.unanswered = False  # the connection was closed without a byte of an answer
        self.opening = Opening(self.trace)
        self._limit = limit
        self._stage = CheckStage.CONNECT
        self._sent_at: float | None = None

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("start_tls.started"):
            self._stage = CheckStage.TLS
        elif name.endswith(".send_request_headers.started"):
            self._stage = CheckStage.POST
            self._sent_at = time.monotonic()

    @property
    def latency_s(self) -> float | None:
        return None if self._sent_at is None else _round(time.monotonic() - self._sent_at)

    def timed_out(self) -> Answer:
        if self._stage is not CheckStage.POST:
            return self._failed(f"no connection within {self._limit}")
        if self.status is None:
            return self._failed(f"no answer within {self._limit}")
        return self._failed(f"answered {self.status}, but the answer did not end within {self._limit}")

    def broken_off(self, error: BaseException) -> Answer:
        if self._stage is CheckStage.CONNECT:
            return self._failed(f"a further connection {_describe_connect(_cause(error))}, though the first was taken")
        if self._stage is CheckStage.TLS:
            return self._failed(_describe_tls(_cause(error)))
        if self.status is not None:
            return self._failed(f"answered {self.status}, but the answer was cut short")
        if isinstance(error, httpx.RemoteProtocolError) and not str(error).startswith("Server disconnected"):
            return self._failed("the answer is no HTTP")
        self.unanswered = True
        return self._failed("the connection was closed without an answer")

    def _failed(self, message: str) -> Answer:
        return Answer(self._stage, latency_s=self.latency_s, message=message)


async def _read_limited(response: httpx.Response) -> None:
    """Reads the answer to its end, or as much as is ever read; nothing of it is kept."""
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size >= MAX_ANSWER_BYTES:
            return


def _round(seconds: float) -> float:
    return round(seconds, 3)


def _until(certificate: Mapping[str, Any]) -> datetime | None:
    until = certificate.get("notAfter")
    return None if until is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)


# --- errors in our words ---------------------------------------------------------------------------


def _cause(error: BaseException) -> BaseException:
    """The socket's or TLS's own error behind a library's; a bare OSError without a number is a library's too."""
    seen: BaseException | None = error
    for _ in range(10):  # an error may be its own cause
        if seen is None:
            break
        if isinstance(seen, OSError) and (type(seen) is not OSError or seen.errno is not None):
            return seen
        seen = seen.__cause__ or seen.__context__
    return error


def _describe_dns(host: str, error: Exception) -> str:
    code = error.errno if isinstance(error, socket.gaierror) else None
    if code in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
        return f"the name {host} was not found"
    if code == socket.EAI_AGAIN:
        return f"the name {host} was not resolved: the name server didn't answer. Try again"
    return f"the name {host} was not resolved"


def _describe_connect(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "was refused"
    return "was reset" if isinstance(error, ConnectionResetError) else "failed"


# X509_V_ERR_… of OpenSSL
_EXPIRED, _NOT_YET, _OTHER_NAMES, _UNKNOWN_ISSUER = 10, 9, (62, 64), (18, 19, 20, 21)


def _describe_tls(error: BaseException) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        if isinstance(error, ssl.SSLError) and error.reason in (
            "WRONG_VERSION_NUMBER",
            "HTTP_REQUEST",
            "UNKNOWN_PROTOCOL",
        ):
            return "the server doesn't speak TLS on this port"
        closed = isinstance(error, ConnectionError | EOFError)
        return "the connection was closed during the TLS handshake" if closed else "the TLS handshake failed"
    code = error.verify_code
    if code == _EXPIRED:
        return "the certificate has expired"
    if code == _NOT_YET:
        return "the certificate is not valid yet"
    if code in _OTHER_NAMES:
        return "the certificate is for another name"
    if code in _UNKNOWN_ISSUER:
        return "the certificate's issuer is not trusted: self-signed, of a private CA, or sent without its chain"
    return f"the certificate is not accepted ({error.verify_message})"
