"""The canonical encoding of JSON."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.state.canonical import encode_canonically

TEXTS = st.text() | st.text('\x00\x1f\x7f\x80"\\\\/é\u2028\uffff\U0001f600a:{[,')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@example({"\uffff": {}, "\U0001f600": [], "é": "\\x7f\x7f\\u00e9", "": '\\"'})
def test_the_bytes_are_those_of_the_standard_library(value: Any) -> None:
    """Older versions wrote these, and stores compare bytes."""
    assert encode_canonically(value).decode() == json.dumps(value, sort_keys=True, indent=2) + "\n"


def test_any_mapping_is_an_object() -> None:
    assert encode_canonically(MappingProxyType({"b": 1, "a": 2})) == encode_canonically({"a": 2, "b": 1})


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc00\ud800"])
def test_an_unpaired_surrogate_is_refused(text: str) -> None:
    """The standard library writes it, and then no reader accepts it."""
    for value in (text, {text: 1}, [text]):
        with pytest.raises(UnicodeEncodeError):
            encode_canonically(value)
