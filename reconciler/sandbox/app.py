"""The HTTP answers of the stand-in for Plug: the PUT, and the routes of `control_routes` (docs/contract.md#sandbox).

The PUT is answered without a framework, because tests and benchmarks send thousands; the rest are Starlette routes.
"""

from __future__ import annotations

import asyncio
import json
from typing import cast

from starlette.types import Receive, Scope, Send

from reconciler.sandbox.control_routes import ACCOUNT_PATH, make_routes
from reconciler.sandbox.plug import (
    MAX_BODY_BYTES,
    Malformed,
    PutFate,
    SimulatedPlug,
    describe_other_form,
    parse_webhooks,
)

PUT_PATH = "/api/integrations/update-webhooks"

_Header = tuple[bytes, bytes]
_Answer = tuple[int, bytes, tuple[_Header, ...]]  # status, body, additional headers
_VALUE_TRUE = b'{"value": true}'  # as a sibling call of the vendor answers (docs/plug-api.md)
_NO_ANSWER: _Answer = (0, b"", ())


class App:
    """The ASGI application. A path may have a prefix, because base URLs may have one."""

    def __init__(self, plug: SimulatedPlug, stopping: asyncio.Event) -> None:
        self._plug = plug
        self._stopping = stopping
        self._routes = make_routes(plug)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.endswith(PUT_PATH):
            await self._answer_put(scope, receive, send)
            return
        if (prefix_chars := path.rfind(ACCOUNT_PATH)) > 0:
            scope = {**scope, "path": path[prefix_chars:]}
        await self._routes(scope, receive, send)

    async def _answer_put(self, scope: Scope, receive: Receive, send: Send) -> None:
        latency_s = self._plug.options.latency_s  # read first: a test that sees the request may change the options
        self._plug.requests += 1
        body = await _read_body(receive)
        if body is None:
            return
        if await self._stopped_within(latency_s):
            await _drop(scope, receive)
            return
        status, content, headers = self._decide(scope, body)
        if status == 0:
            await _drop(scope, receive)
        else:
            await _send_json(send, status, content, headers)

    async def _stopped_within(self, latency_s: float) -> bool:
        """Wait for the latency. Return whether the sandbox was asked to stop meanwhile."""
        if not latency_s:
            return False
        try:
            async with asyncio.timeout(latency_s):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    def _decide(self, scope: Scope, body: bytes) -> _Answer:
        """Check the request in the order of docs/contract.md#sandbox, do the PUT, and return the answer."""
        headers = _first_values(scope)
        if scope["method"] != "PUT":
            return _refuse(405, "the webhooks are updated with PUT", (b"allow", b"PUT"))
        token = _parse_token(headers.get(b"authorization", b""))
        if not token:
            return _refuse(401, "the Authorization header is missing, or holds no token")
        if not self._plug.knows(token):
            return _refuse(401, "the token is not valid")
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media_type != b"application/json":
            return _refuse(415, "the Content-Type header is not application/json")
        try:
            form, webhooks = parse_webhooks(body)
        except Malformed as error:
            return _refuse(400, str(error))
        options = self._plug.options
        if form not in options.body_forms and not options.ignore_other_form:
            return _refuse(400, describe_other_form(form))
        return self._answer_fate(self._plug.put(token, webhooks, form))

    def _answer_fate(self, fate: PutFate) -> _Answer:
        match fate:
            case PutFate.DONE | PutFate.IGNORED:
                return 200, _VALUE_TRUE, ()
            case PutFate.LOST:
                return _NO_ANSWER
            case PutFate.UNAVAILABLE:
                return _refuse(503, "not available, as asked for")
            case PutFate.BROKEN:
                return _refuse(500, "broken, as asked for")
            case PutFate.LIMITED:
                seconds = str(self._plug.retry_after_s()).encode()
                return _refuse(429, "too many requests", (b"retry-after", seconds))


def _refuse(status: int, error: str, *headers: _Header) -> _Answer:
    return status, json.dumps({"error": error}).encode(), headers


def _first_values(scope: Scope) -> dict[bytes, bytes]:
    return dict(reversed(scope["headers"]))


def _parse_token(authorization: bytes) -> str:
    """Return the token of a raw or Bearer header; "" without one."""
    value = authorization.decode("latin-1").strip()
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else value


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or a little more than its limit; None if the client disconnected before its end."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= MAX_BODY_BYTES:
            body += message["body"]
        if not message["more_body"]:
            return body


async def _send_json(send: Send, status: int, content: bytes, headers: tuple[_Header, ...]) -> None:
    usual = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*usual, *headers]})
    await send({"type": "http.response.body", "body": content, "more_body": False})


async def _drop(scope: Scope, receive: Receive) -> None:
    """Close the connection without a byte, and wait for uvicorn to notice, so that it answers nothing."""
    cast(asyncio.Transport, scope["state"]["transport"]).abort()
    await receive()  # the request is complete, so the next message is the disconnect
