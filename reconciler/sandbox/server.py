"""The stand-in Plug on loopback: `reconciler.sandbox.plug` behind uvicorn (CONTRACT §10).

The PUT is answered by hand, as tests and benches send thousands of them; the rest are Starlette routes.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, cast

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.errors import InputError
from reconciler.model import EVENTS, Event
from reconciler.plug.examples import example_bodies
from reconciler.sandbox.plug import (
    MAX_BODY_BYTES,
    Company,
    Fate,
    Malformed,
    Options,
    Plug,
    is_loopback,
    parse_edit,
    parse_object,
    parse_webhooks,
)

HOST = "127.0.0.1"
PUT_PATH = "/api/integrations/update-webhooks"
ACCOUNT_PATH = "/integrator/account/"
DELIVERY_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 300  # longer than any pause of a run, so that no client meets a connection just closed
START_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Sandbox:
    """A running stand-in: where it listens, and its memory, to look at and to play tricks with."""

    base_url: str
    plug: Plug
    stop: Callable[[], None] = field(repr=False)


@contextmanager
def serve_in_thread(options: Options | None = None) -> Iterator[Sandbox]:
    """A sandbox that accepts connections from the first line of the block to its last.

    Raises InputError where the port can't be had.
    """
    options = options or Options()
    listener = _listen(options.port)
    ready = threading.Event()
    server = _Server(Plug(options), announce=lambda _url: ready.set())

    def serve() -> None:
        try:
            server.run([listener])
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="sandbox", daemon=True)

    def stop() -> None:
        server.should_exit = True
        thread.join()

    base_url = _base_url(listener)
    thread.start()
    try:
        if not ready.wait(START_TIMEOUT_S) or not server.started:
            raise RuntimeError("the sandbox did not start")
        yield Sandbox(base_url, server.plug, stop)
    finally:
        stop()


def run(options: Options, announce: Callable[[str], None]) -> int:
    """Serve in the foreground until a signal; `announce` gets the base URL once connections are accepted.

    Gives the exit code: 130 after SIGINT or SIGTERM (CONTRACT §4). Raises InputError where the port
    can't be had.
    """
    listener = _listen(options.port)
    plug = Plug(options)
    plug.received = deque(maxlen=0)  # nobody looks at it: a sandbox may run for weeks
    server = _Server(plug, announce)
    server.run([listener])
    return 130 if server.interrupted else 0


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's delay off where the protocol is named only; with it, each answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # a sandbox restarted on its port needn't wait for the connections of the last one to be forgotten
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = error.strerror or "not available"
        raise InputError(f"port {port} of {HOST}: {reason} (another --port, or 0 for any free one)") from error
    return listener


def _base_url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


class _Connection(H11Protocol):
    """Lets a request reach its own connection, which ASGI has no words for, to end it unanswered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)

    def shutdown(self) -> None:
        """End at once where the client is still sending: it might never finish."""
        if self.cycle is not None and self.cycle.more_body:
            self.transport.abort()
        else:
            super().shutdown()


class _Server(uvicorn.Server):
    """uvicorn, told when it accepts connections, and not killing the process with the signal it got."""

    def __init__(self, plug: Plug, announce: Callable[[str], None]) -> None:
        self.plug = plug
        self.interrupted = False
        self._stopping = asyncio.Event()
        self._announce = announce
        super().__init__(
            uvicorn.Config(
                _App(plug, self._stopping),
                http=_Connection,
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_config=None,
                log_level="error",
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=10,  # nothing takes longer than a delivery
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            self._announce(_base_url(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.interrupted = True
        super().handle_exit(sig, frame)


# --- the requests ----------------------------------------------------------------------------------


_Header = tuple[bytes, bytes]
_Answer = tuple[int, bytes, tuple[_Header, ...]]  # status, body, headers beside the usual
_VALUE_TRUE = b'{"value": true}'  # as a sibling call of the vendor answers (FACTS D)
_NO_ANSWER: _Answer = (0, b"", ())


class _App:
    """The ASGI application. A path prefix is fine: base URLs may have one."""

    def __init__(self, plug: Plug, stopping: asyncio.Event) -> None:
        self._plug = plug
        self._stopping = stopping
        self._routes = _make_routes(plug)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.endswith(PUT_PATH):
            await self._answer_put(scope, receive, send)
            return
        if (prefix_chars := path.rfind(ACCOUNT_PATH)) > 0:
            scope = {**scope, "path": path[prefix_chars:]}
        await self._routes(scope, receive, send)

    async def _answer_put(self, scope: Scope, receive: Receive, send: Send) -> None:
        latency_s = self._plug.options.latency_s  # first: who saw the request may change the options at once
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
        """Wait, as Plug would take its time; True where the sandbox is asked to stop meanwhile."""
        if not latency_s:
            return False
        try:
            async with asyncio.timeout(latency_s):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    def _decide(self, scope: Scope, body: bytes) -> _Answer:
        """The checks in the order of CONTRACT §10, then the PUT itself."""
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
            webhooks = parse_webhooks(body)
        except Malformed as error:
            return _refuse(400, str(error))
        return self._answer_fate(self._plug.put(token, webhooks))

    def _answer_fate(self, fate: Fate) -> _Answer:
        match fate:
            case Fate.DONE:
                return 200, _VALUE_TRUE, ()
            case Fate.LOST:
                return _NO_ANSWER
            case Fate.UNAVAILABLE:
                return _refuse(503, "not available, as asked for")
            case Fate.BROKEN:
                return _refuse(500, "broken, as asked for")
            case Fate.LIMITED:
                seconds = str(self._plug.retry_after_s()).encode()
                return _refuse(429, "too many requests", (b"retry-after", seconds))


def _refuse(status: int, error: str, *headers: _Header) -> _Answer:
    return status, json.dumps({"error": error}).encode(), headers


def _first_values(scope: Scope) -> dict[bytes, bytes]:
    return dict(reversed(scope["headers"]))


def _parse_token(authorization: bytes) -> str:
    """The token of a raw or Bearer header; empty where there is none."""
    value = authorization.decode("latin-1").strip()
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else value


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or just over the limit of it; None where the client went away before its end."""
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
    message: Message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


# --- beside the PUT: the partner's view, and the sandbox's own doors -------------------------------


def _make_routes(plug: Plug) -> Starlette:
    doors: Mapping[str, _Door] = {"deliver": _deliver, "edit": _edit, "show": _show}
    routes = [Route(f"/_sandbox/{name}", _open(plug, door), methods=["POST"]) for name, door in doors.items()]

    async def show_account(request: Request) -> JSONResponse:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return JSONResponse({"error": "Authorization: Bearer <integrator token> is missing"}, 401)
        if not plug.knows_partner(token.strip()):
            return JSONResponse({"error": "the partner token is not valid"}, 401)
        account = plug.account(request.path_params["account_id"])
        if account is None:
            return JSONResponse({"error": "no such account; see --account"}, 404)
        return JSONResponse(account)

    routes.append(Route(ACCOUNT_PATH + "{account_id:path}/", show_account, methods=["GET"]))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # the address has a slash at its end; a redirect would hide a fault
    return app


_Door = Callable[[Plug, str, dict[str, Any]], Awaitable[JSONResponse]]


def _open(plug: Plug, door: _Door) -> Callable[[Request], Awaitable[JSONResponse]]:
    """A route that reads `{"token": …}` and leaves the rest to `door`."""

    async def answer(request: Request) -> JSONResponse:
        try:
            asked = parse_object(await request.body())
            token = asked.get("token")
            if not isinstance(token, str) or not token:
                raise Malformed("token is missing, or no string")
            if not plug.knows(token):
                return JSONResponse({"error": "the token is not valid"}, 404)
            return await door(plug, token, asked)
        except Malformed as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


async def _show(plug: Plug, token: str, _asked: dict[str, Any]) -> JSONResponse:
    company = plug.companies.get(token) or Company()
    counts = {"puts": company.puts, "received": company.received}
    return JSONResponse({"webhooks": company.webhooks, **counts})


async def _edit(plug: Plug, token: str, asked: dict[str, Any]) -> JSONResponse:
    return JSONResponse({"webhooks": plug.edit(token, parse_edit(asked.get("webhooks")))})


async def _deliver(plug: Plug, token: str, asked: dict[str, Any]) -> JSONResponse:
    """Play the event: POST the documented body to the registered URL, never beyond this machine."""
    event, body = _find_example(asked)
    company = plug.companies.get(token) or Company()
    url = company.webhooks[event]
    if url is None:
        return JSONResponse({"status": None, "error": f"{event} has no URL registered"}, 404)
    try:
        if not is_loopback(httpx.URL(url).host):
            error = f"the receiver of {event} is not on loopback: the sandbox sends nothing beyond this machine"
            return JSONResponse({"status": None, "error": error}, 409)
        async with asyncio.timeout(DELIVERY_TIMEOUT_S):
            return JSONResponse({"status": await _post(url, body)})
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
        return JSONResponse({"status": None, "error": f"the receiver didn't answer: {type(failure).__name__}"})


def _find_example(asked: Mapping[str, Any]) -> tuple[Event, bytes]:
    name = asked.get("event")
    if name not in EVENTS:
        raise Malformed("event is none of " + ", ".join(EVENTS))
    event = Event(name)
    bodies = example_bodies(event)
    number = asked.get("example", 1)
    if type(number) is not int or not 1 <= number <= len(bodies):
        raise Malformed(f"example of {event} is a number from 1 to {len(bodies)}")
    return event, bodies[number - 1]


async def _post(url: str, body: bytes) -> int:
    headers = {"Content-Type": "application/json", "User-Agent": "plug-sandbox"}
    async with (
        # no certificate names a loopback receiver, so none is asked for
        httpx.AsyncClient(verify=False, trust_env=False, timeout=DELIVERY_TIMEOUT_S) as client,  # noqa: S501
        client.stream("POST", url, content=body, headers=headers) as response,
    ):
        return response.status_code
