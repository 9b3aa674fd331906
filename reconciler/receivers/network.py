"""Receivers over the network: names, connections, TLS, and POSTs of the documented bodies (docs/contract.md#drift).

A name is resolved once, and its addresses are checked. All connections go to the address that accepted the first one,
so that a second answer of a name server can't lead anywhere else. The name is still in the Host header and in TLS's
SNI, and the certificate must be for it.

A proxy is not used, even if HTTPS_PROXY is set: it would resolve the name itself, so that no rule about addresses could
be kept. Plug, whose calls are imitated here, doesn't use it either.

The filled-in URL holds secrets. It is built in `_send` and sent only to the server: no message quotes it, a library's
error, or the answer.
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

import anyio
import httpx
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute
from msgspec import Struct

from reconciler import __version__
from reconciler.core.receivers import Answer, Place, ProbeResult, Receiver, choose_addresses, is_address
from reconciler.core.urls import split_url
from reconciler.io.http import stream as streams
from reconciler.io.http.causes import Cause, Failure, Hop, Stage, find_cause
from reconciler.io.http.client import Connections, Reply
from reconciler.model import CheckStage

USER_AGENT = f"reconciler/{__version__} check"
RESOLVERS = 32  # threads; a name server that does not answer blocks one for many seconds
SETTING = "the URL"  # where a receiver's address comes from

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class HttpReceivers:
    """The `Receivers` port over the network.

    `fill` returns a URL with its secrets from its text form and an environment; `resolve` returns a name's addresses.
    Entering raises InputError if SSL_CERT_FILE or SSL_CERT_DIR can't be read.
    """

    def __init__(self, fill: Callable[[str, str], str], *, timeout_s: float, resolve: Resolve | None = None) -> None:
        self._fill = fill
        self._timeout_s = timeout_s
        self._resolve = resolve or self._ask_resolver
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")
        self._connections = Connections(None, timeout_s=timeout_s, system_roots=True)

    async def __aenter__(self) -> HttpReceivers:
        await self._connections.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.__aexit__(kind, error, trace)
        # not waited for: a thread that waits for a name server can't be cancelled
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- probing -----------------------------------------------------------------------------------

    async def probe(self, place: Place) -> ProbeResult:
        hop = Hop(place.host, SETTING)
        try:
            async with asyncio.timeout(self._timeout_s):
                found = tuple(dict.fromkeys(await self._find(place)))
        except TimeoutError:
            message = f"the name of {place.host} was not resolved within {self._shown_timeout}"
            return ProbeResult(CheckStage.DNS, message=message)
        except (OSError, UnicodeError) as error:
            cause, _ = find_cause(error, Stage.CONNECT)
            cause = cause if cause in _NAME_CAUSES else Cause.NAME_UNRESOLVED
            return ProbeResult(CheckStage.DNS, message=Failure(Stage.CONNECT, hop, cause).describe())
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
        """Connect to the first address that accepts; each has an equal share of the time that is left."""
        end = time.monotonic() + self._timeout_s
        first: Failure | None = None
        for number, address in enumerate(usable):
            begun_at = time.monotonic()
            hop = Hop(f"{address} port {place.port}", SETTING)
            try:
                async with asyncio.timeout(max(0.0, end - begun_at) / (len(usable) - number)):
                    stream = await streams.connect(address, place.port)
            except TimeoutError:
                first = first or Failure(Stage.CONNECT, hop, Cause.TIMEOUT, self._shown_timeout)
                continue
            except OSError as error:
                first = first or Failure(Stage.CONNECT, hop, *find_cause(error, Stage.CONNECT))
                continue
            return await self._shake_hands(place, _Connected(stream, found, address, begun_at), end)
        assert first is not None, "there is at least one address"
        return ProbeResult(CheckStage.CONNECT, found, message=first.describe())

    async def _shake_hands(self, place: Place, connected: _Connected, end: float) -> ProbeResult:
        """Make a TLS handshake over a new connection, if the scheme is https, and close it."""
        stream = connected.stream
        try:
            if place.scheme == "http":
                return connected.result(CheckStage.CONNECT)
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    stream = await streams.wrap_in_tls(stream, self._connections.tls, place.host)
            except TimeoutError:
                failure = Failure(Stage.TLS, Hop(place.host, SETTING), Cause.TIMEOUT, self._shown_timeout)
            except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:  # ssl.SSLError too
                failure = Failure(Stage.TLS, Hop(place.host, SETTING), *find_cause(error, Stage.TLS))
            else:
                certificate = stream.extra(TLSAttribute.peer_certificate) or {}
                return connected.result(CheckStage.TLS, _find_expiry(certificate))
            message = failure.explain() if failure.cause is Cause.TIMEOUT else failure.describe()
            return ProbeResult(CheckStage.TLS, connected.addresses, connected.address, message=message)
        finally:
            await streams.close(stream)

    # --- calling -----------------------------------------------------------------------------------

    async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
        reply = await self._send(receiver, probe, body)
        if reply.exchange.reused and not reply.exchange.answered and _is_closed(reply.failure):
            # the server closed an idle connection just as it was reused, which is normal: send on a new one
            reply = await self._send(receiver, probe, body, fresh=True)
        return _make_answer(reply)

    async def _send(self, receiver: Receiver, probe: ProbeResult, body: bytes, *, fresh: bool = False) -> Reply:
        """Send to the probed address, with the name in Host and SNI, and the URL's target byte for byte."""
        place = receiver.place
        assert probe.address is not None, "probed first"
        host = f"[{probe.address}]" if ":" in probe.address else probe.address
        _, authority, target = split_url(self._fill(receiver.url, receiver.environments[0]))
        headers = {
            "Host": authority,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
        }
        extensions: dict[str, Any] = {"target": target.encode("ascii"), "sni_hostname": place.host}
        url = f"{place.scheme}://{host}:{place.port}/"
        request = httpx.Request("POST", url, headers=headers, content=body, extensions=extensions)
        return await self._connections.send(request, Hop(place.host, SETTING), place, fresh=fresh)

    async def leave(self, place: Place) -> None:
        await self._connections.leave(place)

    @property
    def _shown_timeout(self) -> str:
        return self._connections.shown_timeout


class _Connected(Struct, frozen=True):
    """A connection to one address of a name, and all addresses of the name. `begun_at` is of the monotonic clock."""

    stream: ByteStream
    addresses: tuple[str, ...]
    address: str
    begun_at: float

    def result(self, stage: CheckStage, certificate_until: datetime | None = None) -> ProbeResult:
        seconds = round(time.monotonic() - self.begun_at, 3)
        return ProbeResult(stage, self.addresses, self.address, certificate_until, seconds)


_NAME_CAUSES = (Cause.NAME_UNKNOWN, Cause.NAME_SERVER_SILENT)
_STAGES = {
    Stage.CONNECT: CheckStage.CONNECT,
    Stage.PROXY: CheckStage.CONNECT,
    Stage.TLS: CheckStage.TLS,
    Stage.SEND: CheckStage.POST,
    Stage.HEAD: CheckStage.POST,
    Stage.BODY: CheckStage.POST,
}


def _is_closed(failure: Failure | None) -> bool:
    return failure is not None and failure.cause in (Cause.CLOSED, Cause.RESET, Cause.BROKEN)


def _make_answer(reply: Reply) -> Answer:
    """Return the answer of a receiver: any status counts if the answer arrived, up to the length that is read."""
    failure, status = reply.failure, reply.arrived.status
    if failure is None:
        return Answer(CheckStage.POST, status, reply.latency_s)
    message = failure.describe()
    if status is not None:
        message = f"answered {status}, but {message}"
    elif failure.stage is Stage.CONNECT:
        message += ", after an earlier one was accepted"
    return Answer(_STAGES[failure.stage], latency_s=reply.latency_s, message=message)


def _find_expiry(certificate: Mapping[str, Any]) -> datetime | None:
    until = certificate.get("notAfter")
    return None if until is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
