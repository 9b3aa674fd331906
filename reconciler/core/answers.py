"""The judgement of an answer of Plug: whether it is complete, and whether it confirms the PUT.

See docs/contract.md#outcomes.

The transport reports the facts: which bytes arrived, and how the body ended. All decisions on them are here.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any

from msgspec import Struct

from reconciler.core.attempts import Fate, classify_answer
from reconciler.core.json_keys import RepeatedKey

MAX_ANSWER_BYTES = 64 * 1024  # the most that is read of an answer, both as it is sent and decoded
MAX_DEPTH = 64  # the API's answers nest 3 deep; Python's own limit depends on its version and on the stack


class End(StrEnum):
    """The end of an answer's body."""

    CERTAIN = "certain"  # all of Content-Length or chunks arrived, the status has no body, or TLS was closed in order
    UNCERTAIN = "uncertain"  # the connection was closed, and nothing shows that the body was complete
    CUT = "cut"  # the body is incomplete: a timeout, a reset, fewer bytes than its length


class TooDeep(ValueError):
    """JSON that is nested more than MAX_DEPTH deep."""


class Arrived(Struct, frozen=True):
    """The part of an answer that arrived.

    `status` is None without a status line. `body` is decoded (Content-Encoding); None if it is longer than
    MAX_ANSWER_BYTES, as sent or decoded. `undecodable` names a content coding that could not be decoded.
    """

    status: int | None
    end: End
    body: bytes | None = b""
    undecodable: str = ""


class Incomplete(StrEnum):
    """The reason why an answer proves nothing."""

    NO_ANSWER = "no-answer"
    CUT = "cut"  # the body is incomplete, or nothing shows that it is complete
    TOO_LONG = "too-long"
    UNDECODABLE = "undecodable"
    TOO_DEEP = "too-deep"


class Judgement(Struct, frozen=True):
    """The result of `judge`. `why` is None if the answer is complete; `denied`: a 2xx with `"value": false`."""

    fate: Fate
    why: Incomplete | None = None
    denied: bool = False

    @property
    def complete(self) -> bool:
        """Return whether enough of an answer arrived to decide on it."""
        return self.why is None


def judge(arrived: Arrived, *, written: bool) -> Judgement:
    """Judge the answer to an attempt. `written`: a byte of the request may have been sent."""
    status = arrived.status
    if status is None:
        return Judgement(Fate.AMBIGUOUS if written else Fate.UNSENT, Incomplete.NO_ANSWER)
    if 200 <= status < 300:
        return _judge_success(arrived, status)
    fate = classify_answer(status, complete=False)  # the status line of a 3xx or 4xx is enough
    cut = arrived.end is End.CUT and arrived.body is not None and fate is not Fate.DEFINITE
    return Judgement(fate, Incomplete.CUT if cut else None)


def _judge_success(arrived: Arrived, status: int) -> Judgement:
    why, denied = None, False
    if arrived.body is None:
        why = Incomplete.TOO_LONG
    elif arrived.end is End.CUT:
        why = Incomplete.CUT
    elif arrived.undecodable:
        why = Incomplete.UNDECODABLE
    else:
        try:
            value = parse_answer(arrived.body)
        except TooDeep:
            why = Incomplete.TOO_DEEP
        else:
            whole_object = isinstance(value, Pairs)
            denied = whole_object and value.holds("value", False)
            why = None if whole_object or arrived.end is End.CERTAIN else Incomplete.CUT
    return Judgement(classify_answer(status, complete=why is None), why, denied)


# --- JSON --------------------------------------------------------------------------------------------


class Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps every pair of a key that appears more than once."""

    def holds(self, key: str, value: object) -> bool:
        """Return whether any pair of this key has exactly this value."""
        return any(name == key and found is value for name, found in self)


def merge_pairs(value: Any) -> Any:
    """Return the value with its objects as dicts. Raises RepeatedKey if a key appears twice in one of them."""
    if isinstance(value, Pairs):
        merged = {key: merge_pairs(one) for key, one in value}
        if len(merged) != len(value):
            raise RepeatedKey
        return merged
    return [merge_pairs(one) for one in value] if isinstance(value, list) else value


def parse_answer(body: bytes) -> Any:
    """Return the JSON value of a body, with objects as `Pairs` and every integer as 0; None if it is not JSON.

    Raises TooDeep.
    """
    text = _decode(body)
    if _measure_depth(text) > MAX_DEPTH:
        raise TooDeep
    try:
        # Python refuses integers of very many digits, which are valid JSON; no number of an answer is used
        return json.loads(text, parse_int=lambda digits: 0, object_pairs_hook=Pairs)
    except ValueError:
        return None


def _decode(body: bytes) -> str:
    """Return the text of a body in the JSON encoding that it uses, with a replacement for each invalid byte.

    An old server may mix encodings. A refusal with an invalid byte in its message must not count as a success.
    """
    return body.decode(json.detect_encoding(body), errors="replace")


_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


def _measure_depth(text: str) -> int:
    """Return the nesting depth of the brackets outside of strings, for any text."""
    depth = deepest = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        match found[0][0]:
            case "[" | "{":
                depth += 1
                deepest = max(deepest, depth)
            case "]" | "}":
                depth = max(0, depth - 1)
    return deepest
