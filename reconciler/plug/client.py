"""The PUT over HTTP: one call of `put` is one attempt (CONTRACT §6.5 to §6.7)."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import httpx

from reconciler import __version__
from reconciler.core.attempts import Attempt, Fate, classify_answer
from reconciler.io.http.proxy import UnusableProxy
from reconciler.model import AuthScheme, Desired
from reconciler.plug.credentials import EnvironCredentials
from reconciler.plug.pool import Connection, Connections
from reconciler.text.explain import explain_status

USER_AGENT = f"reconciler/{__version__}"
MAX_ANSWER_BYTES = 64 * 1024
# asked for is none, and some servers pack all the same: zlib's window sizes of each (deflate is meant in two ways)
_WINDOWS = {"gzip": (31,), "deflate": (15, -15)}
UNDONE_CODINGS = frozenset({"identity", "", *_WINDOWS})


class HttpPlug:
    """Sends PUTs, at most as many at a time as the caller runs, each worker over a connection of its own."""

    def __init__(self, credentials: EnvironCredentials, *, timeout_s: float, environ: Mapping[str, str]) -> None:
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._connections = Connections(environ)

    async def __aenter__(self) -> HttpPlug:
        await self._connections.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.__aexit__(kind, error, trace)

    async def put(self, desired: Desired) -> Attempt:
        """One attempt. Raises nothing that the network or the server did: that is what the attempt says."""
        token = self._credentials.token(desired)
        if token is None:
            return Attempt(Fate.UNSENT, message=f"no token in {desired.token_env}")
        value = token.reveal() if desired.auth_scheme is AuthScheme.RAW else f"Bearer {token.reveal()}"
        body = json.dumps(self._credentials.fill(desired), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Authorization": value,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            # a compressed answer would have to be unpacked before its length is known
            "Accept-Encoding": "identity",
        }
        try:
            with self._connections.borrow(desired.endpoint) as connection:
                return await self._attempt(connection, desired, headers, body)
        except UnusableProxy as error:
            return Attempt(Fate.UNSENT, message=f"not sent: {error}")

    async def _attempt(
        self, connection: Connection, desired: Desired, headers: Mapping[str, str], body: bytes
    ) -> Attempt:
        watch = _Watch()
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await connection.send("PUT", desired.endpoint, headers, body, {"trace": watch.trace})
                watch.status = response.status_code
                try:
                    answer = await read_limited(response)
                finally:
                    await response.aclose()
                await connection.drop_if_ahead()
        except TimeoutError:
            return watch.broken_off(watch.describe_timeout(self._timeout_s))
        except httpx.HTTPError as error:
            return watch.broken_off(describe_transport_error(error))
        except OSError as error:  # ssl.SSLError too
            return watch.broken_off(type(error).__name__)
        try:
            denied = answer is not None and says_denied(answer)
        except RecursionError:
            return watch.broken_off("the answer is nested too deeply to be read")
        if response.headers.get("content-encoding", "identity").strip().lower() not in UNDONE_CODINGS:
            return watch.broken_off("the answer is in a coding that was not asked for")
        return self._conclude(response, denied, desired)

    def _conclude(self, response: httpx.Response, denied: bool, desired: Desired) -> Attempt:
        status = response.status_code
        origin = self._credentials.token_origin(desired)
        return Attempt(
            fate=classify_answer(status, complete=True),
            status=status,
            complete=True,
            denied=denied,
            retry_after_s=parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC)),
            message=explain_status(status, token_env=origin, auth_scheme=desired.auth_scheme, denied=denied),
        )


class _Watch:
    """Knows whether a byte of the PUT was written: that is what tells unsent from ambiguous."""

    def __init__(self) -> None:
        self.begun = False
        self.status: int | None = None

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(".send_request_headers.started"):
            request = info.get("request")
            # a proxy's CONNECT is no part of the request
            if getattr(request, "method", b"PUT") != b"CONNECT":
                self.begun = True

    def describe_timeout(self, timeout_s: float) -> str:
        if self.begun:
            return f"no complete answer within {timeout_s:g} s"
        return (
            f"no connection within {timeout_s:g} s. Check the base URL, this machine's DNS, and what stands before "
            "Plug: a firewall?"
        )

    def broken_off(self, reason: str) -> Attempt:
        fate = Fate.AMBIGUOUS if self.begun else Fate.UNSENT
        what = "the answer was cut short" if self.status is not None else "no answer"
        message = f"{what}: {reason}" if self.begun else f"not sent: {reason}"
        return Attempt(fate, status=self.status, complete=False, message=message)


async def read_limited(response: httpx.Response) -> bytes | None:
    """The whole body, unpacked; None when it is longer than is read, which counts as complete and as not JSON.

    Raises httpx.DecodingError where it is not packed as it says.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            return None
        chunks.append(chunk)
    coding = response.headers.get("content-encoding", "").strip().lower()
    packed = b"".join(chunks)
    return _unpack(packed, _WINDOWS[coding]) if packed and coding in _WINDOWS else packed


def _unpack(packed: bytes, windows: Sequence[int]) -> bytes | None:
    """No further than is read: the library would make gigabytes of a megabyte."""
    for window in windows:
        unpacker = zlib.decompressobj(window)
        try:
            body = unpacker.decompress(packed, MAX_ANSWER_BYTES + 1)
        except zlib.error:
            continue
        if len(body) > MAX_ANSWER_BYTES:
            return None
        if unpacker.eof:
            return body
    raise httpx.DecodingError("not packed as it says")


def says_denied(answer: bytes) -> bool:
    """Whether a body is JSON with `"value": false`: then even a 200 is no success (FACTS D).

    Raises RecursionError where it is nested too deeply to tell.
    """
    try:
        # Python refuses numbers of many digits, which are JSON all the same
        value = json.loads(_decode(answer), parse_int=str)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("value") is False


def _decode(answer: bytes) -> str:
    """In JSON's own encodings; else in the one of an older server, which says no in Portuguese: not an answer to be
    taken for a yes."""
    try:
        return answer.decode(json.detect_encoding(answer))
    except UnicodeDecodeError:
        return answer.decode("latin-1")


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds to wait, of the header's two forms; None where it says nothing usable."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


# most telling first; a library's error is judged by what caused it
_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "the server's certificate is not accepted"),
    (ssl.SSLError, "the TLS handshake failed"),
    (socket.gaierror, "the host's name was not found. Check the base URL and this machine's DNS"),
    (
        ConnectionRefusedError,
        "the connection was refused. Check the base URL, and what stands before Plug: a firewall?",
    ),
    (ConnectionResetError, "the connection was reset"),
    (BrokenPipeError, "the connection was reset"),
    (httpx.ProxyError, "the proxy refused the connection"),
    (httpx.RemoteProtocolError, "the server closed the connection, or broke the protocol"),
    (httpx.DecodingError, "the answer can't be decoded"),
    (httpx.ConnectError, "no connection"),
)


def _advise_on_certificate(code: int) -> str:
    """By OpenSSL's X509_V_ERR codes: 9 and 10 are its dates, 62 to 64 its names; most others an unknown authority."""
    if code in (9, 10):
        return "Look at this machine's clock; if it is right, the server has to renew its certificate"
    if code in (62, 63, 64):
        return "Check the base URL: does another server answer at this name?"
    return (
        "Does a proxy of your company open TLS connections here? Then name the file of its authority in SSL_CERT_FILE; "
        "else somebody may be listening"
    )


def describe_transport_error(error: BaseException) -> str:
    """A transport error in our words. The library's own text is left out: it may quote what was sent."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 10:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for kind, text in _CAUSES:
        for found in chain:
            if isinstance(found, ssl.SSLCertVerificationError) and kind is ssl.SSLCertVerificationError:
                return f"{text} ({found.verify_message.rstrip('.')}). {_advise_on_certificate(found.verify_code)}"
            if isinstance(found, kind):
                return text
    return "the connection broke"
