"""The search for many tokens in a text is correct, and takes one pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.manifests.tokens import MIN_INDEXED, KnownTexts

TOKENS = st.lists(st.text(alphabet="ab-", min_size=4, max_size=14), min_size=1, max_size=3 * MIN_INDEXED)


@given(TOKENS, st.text(alphabet="ab-", max_size=200))
def test_the_tokens_of_a_text_are_found_as_by_a_plain_search(tokens: list[str], text: str) -> None:
    """A token may be a part or the beginning of another."""
    assert KnownTexts(tokens).find_in(text) == sorted({token for token in tokens if token in text})


class Watched(str):
    """A text that counts its lookups."""

    looks = 0

    def __getitem__(self, key: Any) -> str:
        self.looks += 1
        return super().__getitem__(key)

    def __contains__(self, part: object) -> bool:
        self.looks += 1
        return super().__contains__(part)  # type: ignore[operator]

    def find(self, *arguments: Any) -> int:
        self.looks += 1
        return super().find(*arguments)


@pytest.mark.parametrize("token", ["tok-{:05d}", "company-{:05d}", "company-{:05d}-token", "env-{:05d}"])
def test_ten_thousand_tokens_cost_as_many_lookups_as_a_hundred(token: str) -> None:
    """It holds too if every token begins or ends like the text."""
    written = "environment: env-00012\nvars: {company: company-00012}\n"
    looks = []
    for count in (100, 10_000):
        text = Watched(written)
        found = KnownTexts(token.format(number) for number in range(count)).find_in(text)
        assert found == [one for one in [token.format(12)] if one in written]
        looks.append(text.looks)
    assert looks[0] == looks[1]
