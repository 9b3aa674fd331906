"""The codings (Content-Encoding) of an answer's body. We never ask for one, but some servers use one."""

from __future__ import annotations

import zlib

# zlib's window sizes; servers send deflate in two forms, with zlib's header or without it
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
MAX_MEMBERS = 100  # of a gzip stream; a member may be empty, so their number needs a limit too
# the other content codings in IANA's registry
_KNOWN_NAMES = frozenset({"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"})


class UndecodableBody(Exception):
    """The coding is unknown, or the body is not valid in it. `coding` names it."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        super().__init__(coding)


def undo_codings(body: bytes, header: str, limit: int) -> bytes | None:
    """Return the body without the codings that `header` lists; None if it is longer than `limit` bytes.

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
    """Return the coding's name if it is a registered one; a server may send anything else, even a token."""
    return coding if coding in _KNOWN_NAMES else "(of an unknown name)"


def _unpack(packed: bytes, coding: str, limit: int) -> bytes | None:
    """Unpack up to the limit: zlib can turn a megabyte into gigabytes."""
    for window in _WINDOWS[coding]:
        try:
            return _unpack_members(packed, window, limit)
        except zlib.error:
            continue
    raise UndecodableBody(coding)


def _unpack_members(packed: bytes, window: int, limit: int) -> bytes | None:
    """Unpack all members of a gzip stream, or the one of deflate. Raises zlib.error."""
    body, rest = b"", packed
    for _ in range(MAX_MEMBERS):
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
