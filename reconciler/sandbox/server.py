"""The server of the stand-in for Plug on loopback: how it listens, starts and ends. Its answers are in `app`.

See docs/contract.md#sandbox.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.errors import InputError
from reconciler.io.signals import INTERRUPTED, handling
from reconciler.sandbox.app import App
from reconciler.sandbox.plug import Options, SimulatedPlug

HOST = "127.0.0.1"
KEEP_ALIVE_S = 300  # longer than any pause of a run, so that no client reuses a connection that was just closed
START_TIMEOUT_S = 30.0


class Sandbox(Struct):
    """A running sandbox: its address, and its memory, which tests read and change."""

    base_url: str
    plug: SimulatedPlug
    stop: Callable[[], None]


@contextmanager
def serve_in_thread(options: Options | None = None) -> Iterator[Sandbox]:
    """Run a sandbox in a thread for the duration of a `with` block.

    Raises InputError if the port is not available.
    """
    options = options or Options()
    listener = _listen(options.port)
    ready = threading.Event()
    server = _Server(SimulatedPlug(options), announce=lambda _url: ready.set())

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
    """Serve in the foreground until a signal; `announce` gets the base URL when connections are accepted.

    Return the exit code, 130 after a signal (docs/contract.md#commands). Raises InputError if the port is not
    available.
    """
    listener = _listen(options.port)
    plug = SimulatedPlug(options)
    plug.received = deque(maxlen=0)  # nothing reads it here, and a sandbox may run for weeks
    server = _Server(plug, announce)
    server.run([listener])
    return INTERRUPTED if server.interrupted else 0


def _listen(port: int) -> socket.socket:
    # asyncio turns off Nagle's delay only if the protocol is named; with that delay, each answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A restarted sandbox must not wait until the system has forgotten the connections of the previous one. Windows
        # doesn't make it wait, but lets two programs share a port unless one of them forbids it.
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
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
    """A connection that a request can end without an answer. ASGI has no message for that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)

    def shutdown(self) -> None:
        """End at once if the client is still sending: it might never finish."""
        if self.cycle is not None and self.cycle.more_body:
            self.transport.abort()
        else:
            super().shutdown()


class _Server(uvicorn.Server):
    """A uvicorn server that announces when it accepts connections, and does not raise the signal again when it ends."""

    def __init__(self, plug: SimulatedPlug, announce: Callable[[str], None]) -> None:
        self.plug = plug
        self.interrupted = False
        self._stopping = asyncio.Event()
        self._announce = announce
        super().__init__(
            uvicorn.Config(
                App(plug, self._stopping),
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
        with handling(self.handle_exit):
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.interrupted = True
        super().handle_exit(sig, frame)
