"""Hostile tokens files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.errors import InputError
from reconciler.plug.secret_files import load_secrets_file, load_tokens_file
from tests.fuzz.hostile import CANARY, PIECES, as_json, bounded, mutated, refused_or, spliced

VALID = {"loja": CANARY, "matriz": CANARY + "x", "filial": "e30.e30.e30"}
WORDS = [piece.encode() for piece in PIECES] + [b"[", b"{", b"&a ", b"*a", b"- ", b"? ", b"!!str ", b"|\n", b"---\n"]


@bounded
@given(mutated(VALID).map(as_json) | spliced(as_json(VALID), WORDS) | st.binary())
@example(b"[" * 200_000)
@example(b"{a: " * 100_000)
@example(b"\n".join(b" " * depth + b"a:" for depth in range(3000)))
def test_a_tokens_file_is_valid_or_refused(data: bytes) -> None:
    """No content is repeated, and libyaml's composer, which overflows its stack, gets no deep nesting."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens"
        path.touch(0o600)
        path.write_bytes(data)
        tokens = refused_or(lambda: load_tokens_file(path, "tokens"), InputError)
        secrets = refused_or(lambda: load_secrets_file(path, "secrets"), InputError)
    assert tokens is None or CANARY not in f"{list(tokens.values())}"
    assert secrets is None or CANARY not in f"{secrets}"
    assert tokens is None or secrets is not None, "every tokens file is also a secrets file, of one level"
