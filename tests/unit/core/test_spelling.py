"""The search for known values in every spelling; its time depends on the text alone (docs/contract.md#drift)."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.core.spelling import SpelledValues, undo_percent
from tests.conftest import examples

VALUE = "Canary-Value_1~with+odd/chars%41"
KNOWN = SpelledValues([VALUE, "another-value-that-is-not-there"])

SPELLINGS = {
    "plain": VALUE,
    "upper": VALUE.upper(),
    "lower": VALUE.lower(),
    "reversed": VALUE[::-1],
    "percent": quote(VALUE, safe=""),
    "percent, small": "".join(f"%{byte:02x}" for byte in VALUE.encode()),
    "percent, thrice": quote(quote(quote(VALUE, safe=""), safe=""), safe=""),
    "percent, reversed": quote(VALUE[::-1], safe=""),
    "hex": VALUE.encode().hex(),
    "hex, upper": VALUE.encode().hex().upper(),
    "hex of upper": VALUE.upper().encode().hex(),
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64, url": base64.urlsafe_b64encode(VALUE.encode()).decode(),
    "base64, no padding": base64.urlsafe_b64encode(VALUE.encode()).decode().rstrip("="),
    "base64, percent": quote(base64.b64encode(VALUE.encode()).decode(), safe=""),
    "base64, reversed": base64.b64encode(VALUE.encode()).decode()[::-1],
    "base64, case lost": base64.b64encode(VALUE.encode()).decode().lower(),
    "base64 of base64": base64.b64encode(base64.b64encode(VALUE.encode())).decode(),
    "base64 of url base64, no padding": base64.b64encode(
        base64.urlsafe_b64encode(VALUE.encode()).rstrip(b"=")
    ).decode(),
    "hex of base64": base64.b64encode(VALUE.encode()).hex(),
    "base64 of hex": base64.b64encode(VALUE.encode().hex().encode()).decode(),
    "base64 of upper hex": base64.b64encode(VALUE.encode().hex().upper().encode()).decode(),
    "base32": base64.b32encode(VALUE.encode()).decode(),
    "base32, lower": base64.b32encode(b"x" + VALUE.encode()).decode().lower().rstrip("="),
    "base64 of lower": base64.b64encode(VALUE.lower().encode()).decode(),
    **{
        f"base64, {before} before, {after} after": base64.b64encode(
            b"x" * before + VALUE.encode() + b"y" * after
        ).decode()
        for before in range(3)
        for after in range(3)
    },
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_found_and_one_without_its_end_is_not(spelling: str) -> None:
    assert KNOWN.occur_in(f"https://a.com/x/{spelling}/y")
    assert not KNOWN.occur_in(f"https://a.com/x/{spelling[:8]}/y")


def test_nothing_is_found_without_values_or_in_a_plain_url() -> None:
    assert not SpelledValues([]).occur_in(VALUE)
    assert not SpelledValues([""]).occur_in(VALUE)
    assert not KNOWN.occur_in("https://hooks.acme.com.br/plug/production/messageStatus?a=1&b=2")


@given(st.text(alphabet="%25aA4/", max_size=60))
@example("%2%35")
@example("%%32%35")
def test_percent_encoding_is_undone_as_by_repeated_decoding(text: str) -> None:
    """No code is left, and the result of an encoded result is the same."""
    undone = undo_percent(text)
    assert undo_percent(undone) == undone
    assert undo_percent(quote(text, safe="")) == undone


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=4, max_size=40), st.data())
def test_any_value_is_found_in_base64_of_any_text_around_it(value: str, data: st.DataObject) -> None:
    before, after = (data.draw(st.binary(max_size=examples(5))) for _ in range(2))
    text = base64.b64encode(before + value.encode() + after).decode()
    assert SpelledValues([value]).occur_in(f"https://a.com/{text}")


def test_the_time_for_many_percent_signs_is_proportional_to_their_number() -> None:
    """Each character is read and decoded once; repeated decoding would take thousands of passes."""
    flood = "%" + "25" * 30_000 + "41"
    assert undo_percent(flood) == "A"
