"""Codings that we did not ask for are undone whole, or named."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.io.http.coding import UndecodableBody, undo_codings

LIMIT = 65_536


def gz(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ("packed", "coding", "body"),
    [
        (b"abc", "", b"abc"),
        (b"abc", "identity", b"abc"),
        (gz(b"abc"), "gzip", b"abc"),
        (gz(b"abc"), "x-GZIP ", b"abc"),
        (gz(b"ab") + gz(b"c"), "gzip", b"abc"),
        (gz(b"ab") + bytes(9) + gz(b"c") + bytes(9), "gzip", b"abc"),
        (zlib.compress(b"abc"), "deflate", b"abc"),
        (zlib.compress(b"abc")[2:-4], "deflate", b"abc"),
        (gz(zlib.compress(b"abc")), "deflate, identity, gzip", b"abc"),
        (b"", "gzip", b""),
        (gz(b"x" * LIMIT), "gzip", b"x" * LIMIT),
        (gz(b"x" * (LIMIT + 1)), "gzip", None),
        (gz(b"x" * LIMIT) + gz(b"x"), "gzip", None),
        (gz(gz(b"x" * 50_000_000)), "gzip, gzip", None),
    ],
)
def test_a_coding_is_undone_whole(packed: bytes, coding: str, body: bytes | None) -> None:
    """This includes two members of gzip. The result is None for a body longer than the limit."""
    assert undo_codings(packed, coding, LIMIT) == body


@pytest.mark.parametrize(
    ("packed", "coding", "named"),
    [
        (b"abc", "br", "br"),
        (b"", "zstd", "zstd"),
        (b"abc", "gzip", "gzip"),
        (gz(b"abc")[:-1], "gzip", "gzip"),
        (gz(b"abc") + b"more", "gzip", "gzip"),
        (gz(b"abc") + gz(b"abc")[:-1], "gzip", "gzip"),
        (zlib.compress(b"abc") + b"more", "deflate", "deflate"),
        (gz(b"abc"), "br, gzip", "br"),
        (gz(b"") * 101, "gzip", "gzip"),
        (b"abc", "x-compress", "x-compress"),
        (b"abc", "x\x1b[31m", "(of an unknown name)"),
        (b"abc", "s3cr3t", "(of an unknown name)"),  # a server may echo a short token
    ],
)
def test_a_coding_that_can_not_be_undone_is_named(packed: bytes, coding: str, named: str) -> None:
    """Only a registered name is shown."""
    with pytest.raises(UndecodableBody) as raised:
        undo_codings(packed, coding, LIMIT)
    assert raised.value.coding == named


def test_no_more_is_unpacked_than_the_limit() -> None:
    """The limit holds for many members too."""
    bomb = gz(bytes(1_000_000)) * 60
    tracemalloc.start()
    try:
        assert undo_codings(bomb, "gzip", LIMIT) is None
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "gzip, deflate", ", ,"]))
def test_any_bytes_are_undone_or_refused(body: bytes, coding: str) -> None:
    """There is no other error."""
    try:
        assert undo_codings(body, coding, LIMIT) is not None
    except UndecodableBody as error:
        assert error.coding in ("gzip", "deflate")
