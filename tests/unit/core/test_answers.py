"""The judgement of answers: the decision table, and that any bytes can be judged.

See docs/contract.md#outcomes.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.answers import (
    MAX_ANSWER_BYTES,
    MAX_DEPTH,
    Arrived,
    End,
    Incomplete,
    Judgement,
    TooDeep,
    judge,
    merge_pairs,
    parse_answer,
)
from reconciler.core.attempts import Fate
from reconciler.core.json_keys import RepeatedKey

DEFINITE, AMBIGUOUS, UNSENT = Fate.DEFINITE, Fate.AMBIGUOUS, Fate.UNSENT


def nested(depth: int, *, opening: str = "[", closing: str = "]") -> bytes:
    """Return a value that is nested this deep, itself included."""
    return f'{{"value": true, "x": {opening * (depth - 1)}{closing * (depth - 1)}}}'.encode()


@pytest.mark.parametrize(
    ("arrived", "verdict"),
    [
        (Arrived(200, End.CERTAIN, b""), Judgement(DEFINITE)),
        (Arrived(204, End.CERTAIN, b""), Judgement(DEFINITE)),
        (Arrived(200, End.CERTAIN, b"<html>"), Judgement(DEFINITE)),
        (Arrived(200, End.CERTAIN, b'{"value": true}'), Judgement(DEFINITE)),
        (Arrived(200, End.CERTAIN, b'{"value": false}'), Judgement(DEFINITE, denied=True)),
        (Arrived(200, End.UNCERTAIN, b'{"value": true}'), Judgement(DEFINITE)),
        (Arrived(200, End.UNCERTAIN, b'{"value": false}'), Judgement(DEFINITE, denied=True)),
        (Arrived(200, End.UNCERTAIN, b" {} \n"), Judgement(DEFINITE)),
        (Arrived(200, End.UNCERTAIN, b""), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(200, End.UNCERTAIN, b'{"value": tr'), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(200, End.UNCERTAIN, b"[]"), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(200, End.UNCERTAIN, b"true"), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(200, End.UNCERTAIN, b"{} {}"), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(200, End.UNCERTAIN, b"<html></html>"), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(200, End.CUT, b'{"value": true}'), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(200, End.CUT, None), Judgement(AMBIGUOUS, Incomplete.TOO_LONG)),
        (Arrived(200, End.CERTAIN, None), Judgement(AMBIGUOUS, Incomplete.TOO_LONG)),
        (Arrived(200, End.CERTAIN, b"x", "br"), Judgement(AMBIGUOUS, Incomplete.UNDECODABLE)),
        (Arrived(200, End.CERTAIN, nested(MAX_DEPTH)), Judgement(DEFINITE)),
        (Arrived(200, End.CERTAIN, nested(MAX_DEPTH + 1)), Judgement(AMBIGUOUS, Incomplete.TOO_DEEP)),
        (Arrived(200, End.CERTAIN, b"[" * 60_000), Judgement(AMBIGUOUS, Incomplete.TOO_DEEP)),
        (Arrived(299, End.UNCERTAIN, b""), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(300, End.UNCERTAIN, b'{"value": false}'), Judgement(DEFINITE)),
        (Arrived(302, End.CUT), Judgement(DEFINITE)),
        (Arrived(400, End.CUT, None), Judgement(DEFINITE)),
        (Arrived(401, End.UNCERTAIN, nested(99)), Judgement(DEFINITE)),
        (Arrived(429, End.CUT), Judgement(DEFINITE)),
        (Arrived(403, End.CERTAIN, b"x", "br"), Judgement(DEFINITE)),
        (Arrived(408, End.CERTAIN), Judgement(AMBIGUOUS)),
        (Arrived(408, End.CUT), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(500, End.CERTAIN), Judgement(AMBIGUOUS)),
        (Arrived(501, End.UNCERTAIN), Judgement(AMBIGUOUS)),
        (Arrived(501, End.CUT), Judgement(AMBIGUOUS, Incomplete.CUT)),
        (Arrived(999, End.CERTAIN), Judgement(AMBIGUOUS)),
        (Arrived(None, End.CUT), Judgement(AMBIGUOUS, Incomplete.NO_ANSWER)),
    ],
)
def test_the_verdict_on_an_answer(arrived: Arrived, verdict: Judgement) -> None:
    """The table has one row for each sentence of the contract."""
    assert judge(arrived, written=True) == verdict


def test_without_a_byte_written_nothing_was_sent() -> None:
    """Resolving, connecting or TLS failed."""
    assert judge(Arrived(None, End.CUT), written=False) == Judgement(UNSENT, Incomplete.NO_ANSWER)


arrivals = st.builds(
    Arrived,
    st.none() | st.integers(200, 599),
    st.sampled_from(End),
    st.none() | st.binary(max_size=60) | st.sampled_from([b"{}", b'{"value": false}', nested(65)]),
    st.sampled_from(["", "br"]),
)


@given(arrivals, st.booleans())
def test_only_a_certain_answer_is_definite(arrived: Arrived, written: bool) -> None:
    """A 2xx is definite only if its body is readable, and its end is certain or it is one whole object."""
    verdict = judge(arrived, written=written)
    status = arrived.status
    if verdict.fate is DEFINITE:
        assert status is not None and 200 <= status < 500 and status != 408
        assert verdict.complete
    if verdict.denied:
        assert verdict.fate is DEFINITE
    if status is not None and 200 <= status < 300:
        assert (verdict.fate is DEFINITE) == verdict.complete
        if arrived.end is End.CUT or arrived.body is None or arrived.undecodable:
            assert not verdict.complete
    if status is not None and 300 <= status < 500 and status != 408:
        assert verdict == Judgement(DEFINITE)


@given(st.binary(max_size=300))
def test_a_body_of_any_bytes_is_judged(body: bytes) -> None:
    """No body causes an error."""
    assert judge(Arrived(200, End.CERTAIN, body), written=True).denied in (False, True)


# --- denials -------------------------------------------------------------------------------------------


def denies(body: bytes) -> bool:
    return judge(Arrived(200, End.CERTAIN, body), written=True).denied


@pytest.mark.parametrize(
    ("body", "denied"),
    [
        (b'{"value":false}', True),
        (b'{"value": false, "value": true}', True),
        (b'{"value": true, "value": false}', True),
        (b'{"v\\u0061lue": false}', True),
        (b'{"x": {"value": false}}', False),
        (b'{"value": {"value": false}}', False),
        (b'[{"value": false}]', False),
        (b'{"value": "false"}', False),
        (b'{"value": 0}', False),
        (b'{"value": null}', False),
        (b"false", False),
        (b'{"value": false', False),
    ],
)
def test_only_value_false_at_the_top_denies(body: bytes, denied: bool) -> None:
    """If the key appears twice, either counts."""
    assert denies(body) is denied


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252"])
def test_value_false_denies_in_every_encoding(encoding: str) -> None:
    """An old server may give its reason in Latin-1, which is not UTF-8."""
    assert denies('{"value": false, "message": "não autorizado"}'.encode(encoding))
    assert not denies('{"value": true, "message": "não, nada"}'.encode(encoding))


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + '{"value": false, "message": "não"}'.encode("latin-1"),
        *(
            '{"message": "\ud83d", "value": false}'.encode(encoding, "surrogatepass")
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
        ),
    ],
)
def test_a_stray_byte_does_not_hide_a_denial(body: bytes) -> None:
    """Mixed encodings or an emoji cut in half do not prevent reading the rest."""
    assert denies(body)


@pytest.mark.parametrize(
    "body", [b'{"value": false, "x": ' + b"1" * 5000 + b"}", b'{"x": -' + b"1" * 5000 + b', "value": false}']
)
def test_a_number_that_python_refuses_does_not_hide_a_denial(body: bytes) -> None:
    """The body is valid JSON nevertheless."""
    assert denies(body)


# --- depth ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_sixty_four_deep_is_read_and_sixty_five_is_not(encoding: str, opening: str, closing: str) -> None:
    """The limit is the same for lists and objects, in every encoding, on every system."""

    def body(depth: int) -> bytes:
        return (opening * (depth - 1) + "[]" + closing * (depth - 1)).encode(encoding)

    assert parse_answer(body(64)) is not None
    with pytest.raises(TooDeep):
        parse_answer(body(65))


@pytest.mark.parametrize(
    "text", ['{"a": "' + "[" * 100 + '"}', '{"a": "\\"' + "[" * 100 + '"}', '{"' + "{" * 100 + '": 1}']
)
def test_brackets_in_a_string_do_not_count(text: str) -> None:
    """Brackets after an escaped quote do not count either."""
    assert parse_answer(text.encode()) is not None


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """Only the depth counts, not the number."""
    assert parse_answer(json.dumps([[[]]] * 1000).encode()) is not None


@pytest.mark.parametrize("body", [b'"' * MAX_ANSWER_BYTES, b'"\\' * 32_000, b"]" * MAX_ANSWER_BYTES, b'{"a' * 60])
def test_hostile_bodies_are_measured(body: bytes) -> None:
    """These bodies are not JSON and not deep."""
    assert parse_answer(body) is None


# --- pairs ---------------------------------------------------------------------------------------------


def test_pairs_become_dicts_unless_a_key_is_repeated() -> None:
    """A repeated key is found at any depth."""
    assert merge_pairs(parse_answer(b'{"a": [{"b": 1}], "c": null}')) == {"a": [{"b": 0}], "c": None}
    with pytest.raises(RepeatedKey):
        merge_pairs(parse_answer(b'[{"a": {"b": 1, "b": 1}}]'))
