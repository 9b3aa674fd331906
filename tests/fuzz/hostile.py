"""Strategies for hostile input, and the program run in this process."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from reconciler.cli.main import run
from reconciler.cli.session import Session
from tests.acceptance.conftest import assert_harmless

CANARY = "canary-5ecret+71d2e8"  # with a character that no name and no host has
# An example that takes this long hangs: the slowest one takes a tenth of a second.
bounded = settings(deadline=timedelta(seconds=60))

PIECES = [
    "::error::x",
    "##[group]",
    "\x1b[31m",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\x00",
    "\x7f",
    "\x9b",
    "\u202e",
    "\u2028",
    "\ufeff",
    "@octo/team",
    "#12",
    "<img src=x>",
    "[x](https://evil.test)",
    "|",
    "`",
    "{",
    "}",
    "{secret:HOME}",
    "'",
    '"',
    ":",
    "=",
    ",",
    "-",
    "%",
    "%2e%2e",
    "../..",
    "/",
    "\\",
    "~",
    "~nobody",
    "$(id)",
    "https://",
    "http://127.1/",
    "@evil.test",
    "[::1]",
    "999999999999999999999",
    "1e999",
    "nan",
    "-1",
    "0",
    "true",
    "null",
    "none",
    "é",
    "\U0001f525",
    "a" * 300,
    "www.plugchat.com.br",
    "loja",
    "sha256:",
    CANARY,
]
hostile_texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=6).map("".join)
# Texts that a variable or an argument can hold: no NUL, and bytes that are not UTF-8 as lone surrogates.
variable_texts = hostile_texts.map(lambda text: text.replace("\0", "\udcff"))

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**53 + 1,
    2**64,
    10**400,
    -(10**30),
    float("inf"),
    float("nan"),
    "",
    " ",
    "\0",
    "x",
    "a" * 5000,
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"": None},
    ["x"] * 50,
    json.loads("[" * 80 + "]" * 80),
    "sha256:" + "0" * 64,
    "reconciler.plan/1",
    "reconciler.state/2",
    "reconciler.state/1",
    "reconciler.state/3",
]
# Each is copied, so that an example can't change the values of the next one.
odd = st.integers(0, len(ODD) - 1).map(lambda at: copy.deepcopy(ODD[at])) | hostile_texts | st.integers() | st.floats()


# A message names an unknown key, so none of these keys holds the token.
keys = hostile_texts.map(lambda text: text.replace(CANARY, "key"))


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner if len(path) < 8 for found in paths_of(one, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, valid: Any) -> Any:
    """Draw a valid JSON value with one to three parts replaced, left out, added or wrapped."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(paths_of(value)[1:] or [(None,)]))
        if last is None:
            return draw(odd)
        place = value
        for key in above:
            place = place[key]
        match draw(st.integers(0, 5)):
            case 0:
                del place[last]
            case 1 if isinstance(place, dict):
                place[draw(keys)] = place[last]
            case 2:
                place[last] = [place[last]]
            case _:
                place[last] = draw(odd)
    return value


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def spliced(draw: st.DrawFn, valid: bytes, words: Sequence[bytes]) -> bytes:
    """Draw valid bytes, cut, repeated and with foreign pieces in between."""
    data = valid
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 12)))
        data = data[:at] + draw(st.sampled_from(words) | st.binary(max_size=6)) + data[until:]
    return data


@dataclass(frozen=True)
class Drove:
    code: int
    out: str
    err: str


def drive(folder: Path, environ: Mapping[str, str], *arguments: str, hidden: Sequence[str] = (CANARY,)) -> Drove:
    """Run one command in this process: no traceback, no internal error, only harmless text, no hidden value."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments, obj=Session(environ=dict(environ), folder=folder))
    driven = Drove(code, out.getvalue(), err.getvalue())
    assert "internal error" not in driven.err, driven.err
    assert code in (0, 1, 2, 3, 4), driven
    for text in (driven.out, driven.err):
        assert_harmless(text)
        assert not any(one in text for one in hidden)
    return driven


def refused_or(value: Callable[[], Any], *errors: type[Exception], hidden: Sequence[str] = (CANARY,)) -> Any:
    """Return the value; None if one of the errors refused it without showing a hidden value."""
    try:
        return value()
    except errors as error:
        shown = f"{error}{error!r}{getattr(error, 'problems', '')!r}"
        assert str(error), "an error without a message"
        for one in hidden:
            assert one not in shown, "a secret in a message"
        return None
