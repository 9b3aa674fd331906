"""The parts shared by the PUT and the read of an account: connections, headers, and the waits that Plug asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Self, assert_never

import httpx

from reconciler import __version__
from reconciler.core.answers import MAX_ANSWER_BYTES, MAX_DEPTH, Incomplete, Judgement
from reconciler.core.attempts import Attempt
from reconciler.io.http.causes import Cause, Hop
from reconciler.io.http.client import Connections, Reply
from reconciler.io.http.retry_after import parse_retry_after
from reconciler.plug.credentials import EnvironCredentials

USER_AGENT = f"reconciler/{__version__}"


class Sender:
    """An async context manager that sends requests with a token to Plug. The caller limits how many run at a time.

    `environ` holds the proxy variables. Entering raises InputError if SSL_CERT_FILE or SSL_CERT_DIR can't be read.
    """

    def __init__(self, credentials: EnvironCredentials, *, timeout_s: float, environ: Mapping[str, str]) -> None:
        self._credentials = credentials
        self._connections = Connections(environ, timeout_s=timeout_s)

    async def __aenter__(self) -> Self:
        await self._connections.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.__aexit__(kind, error, trace)

    async def _send(
        self, method: str, url: str, authorization: str, *, setting: str, body: bytes | None = None
    ) -> Reply:
        """Send one request; `setting` is the setting that its address comes from. Raises UnusableProxy."""
        headers = {"Authorization": authorization}
        if body is not None:
            headers["Content-Type"] = "application/json"
        # a compressed answer would have to be unpacked before its length is known
        headers |= {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
        parsed = _parse_url(url)
        request = httpx.Request(method, parsed, headers=headers, content=body)
        return await self._connections.send(request, Hop(f"Plug ({parsed.netloc.decode('ascii')})", setting))


@lru_cache(maxsize=64)  # many environments share an endpoint, and parsing costs as much as the rest of a request
def _parse_url(url: str) -> httpx.URL:
    return httpx.URL(url)


def make_attempt(reply: Reply, verdict: Judgement, message: str) -> Attempt:
    """Return the attempt for a reply, its verdict and a message."""
    return Attempt(
        fate=verdict.fate,
        status=reply.arrived.status,
        complete=verdict.complete,
        denied=verdict.denied,
        retry_after_s=parse_retry_after(reply.headers.get("retry-after"), datetime.now(UTC)),
        message=message,
    )


def describe_incomplete(reply: Reply, verdict: Judgement) -> str:
    """Return why an attempt has no complete answer, and what to do about it."""
    arrived, failure = reply.arrived, reply.failure
    if arrived.status is None:
        reason = failure.explain() if failure else "nothing arrived"
        if not reply.exchange.written:
            return f"not sent: {reason}"
        return f"no usable answer: {reason}" if reply.exchange.answered else f"no answer: {reason}"
    if verdict.why is None or verdict.why is Incomplete.CUT:
        reason = (failure or reply.exchange.failed(Cause.CUT)).explain()
        return f"the answer ({arrived.status}) was cut short: {reason}"
    return f"{arrived.status}, but {explain_unreadable(verdict.why, coding=arrived.undecodable)}"


def explain_unreadable(why: Incomplete, *, coding: str = "") -> str:
    """Return why an answer that arrived can't be read; `coding` is the one that could not be undone."""
    match why:
        case Incomplete.TOO_LONG:
            return f"the answer is longer than {MAX_ANSWER_BYTES:,} bytes, and no more is read"
        case Incomplete.UNDECODABLE:
            return f"the answer's coding {coding} can't be undone"
        case Incomplete.TOO_DEEP:
            return f"the answer is nested more than {MAX_DEPTH} deep"
        case Incomplete.CUT | Incomplete.NO_ANSWER:
            return "the answer is not complete"
        case _:
            assert_never(why)
