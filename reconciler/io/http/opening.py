"""The socket of a connection that is being opened, for those who set a limit of time on it from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

Trace: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class Opening:
    """httpx's `trace` of one request, passed on to `trace`.

    The library closes a socket whose TLS fails, but not one whose TLS is cut off by a limit of time: behind a server
    that takes connections and keeps silent, a fleet would run out of handles.
    """

    def __init__(self, trace: Trace | None = None) -> None:
        self._trace = trace
        self._stream: Any = None

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(".connect_tcp.complete"):
            self._stream = info["return_value"]
        if self._trace is not None:
            await self._trace(name, info)

    async def close(self) -> None:
        """After a request that came to nothing; what is closed already stays so."""
        if self._stream is not None:
            with contextlib.suppress(OSError, RuntimeError):  # why the request failed is told already
                await self._stream.aclose()
