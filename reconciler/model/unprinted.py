"""Values that are never printed."""

from __future__ import annotations

from msgspec import Struct


class Unprinted(Struct, frozen=True):
    """The base of values that can contain secrets: their repr has the name of the type alone."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"
