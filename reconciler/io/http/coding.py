"""The codings of an answer's body: none is asked for, and some servers use one all the same."""

from __future__ import annotations

import zlib

# zlib's window sizes: deflate is meant in two ways, with zlib's header or without it
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
# the others of IANA's registry of content codings
_KNOWN_NAMES = frozenset({"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"})
MOST_MEMBERS = 100  # of a gzip stream; each may be empty, so their number is bounded too


class UndecodableBody(Exception):
    """A coding that is unknown, or that the body is not in. `coding` names it."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        super().__init__(coding)


def undo_codings(body: bytes, header: str, limit: int) -> bytes | None:
    """The body without the codings that Content-Encoding lists; None where it is longer than `limit` bytes.

    Raises UndecodableBody.
    """
    codings = [coding.strip().lower() for coding in header.split(",")]
    for coding in reversed(codings):
        if coding in ("", "identity"):
            continue
        if coding not in _WINDOWS:
            raise UndecodableBody(_name_safely(coding))
        if not body:
            continue
        unpacked = _unpack(body, coding, limit)
        if unpacked is None:
            return None
        body = unpacked
    return body


def _name_safely(coding: str) -> str:
    """A coding's name, where it is a registered one: a server may send anything in its place, a short token too."""
    return coding if coding in _KNOWN_NAMES else "(of an unknown name)"


def _unpack(packed: bytes, coding: str, limit: int) -> bytes | None:
    """No further than the limit: zlib would make gigabytes of a megabyte."""
    for window in _WINDOWS[coding]:
        try:
            return _unpack_members(packed, window, limit)
        except zlib.error:
            continue
    raise UndecodableBody(coding)


def _unpack_members(packed: bytes, window: int, limit: int) -> bytes | None:
    """All members of a gzip stream, or the one of deflate. Raises zlib.error."""
    body, rest = b"", packed
    for _ in range(MOST_MEMBERS):
        unpacker = zlib.decompressobj(window)
        body += unpacker.decompress(rest, limit + 1 - len(body))
        if len(body) > limit:
            return None
        if not unpacker.eof:
            raise zlib.error("cut")
        rest = unpacker.unused_data.lstrip(b"\0")  # gzip's members may be padded with zeros
        if not rest:
            return body
        if window < 16:
            break
    raise zlib.error("bytes after the end")
