"""The search for many tokens in a text is correct, and takes one pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.manifests.tokens import MIN_INDEXED, KnownTexts, TokenSearch

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


@given(st.integers(min_value=0, max_value=2 * MIN_INDEXED), st.booleans(), st.text(alphabet="abc e\n", max_size=60))
def test_any_of_many_tokens_is_found(which: int, jwt: bool, around: str) -> None:
    """Opaque tokens and JWTs are found anywhere in the text."""
    beginning = "eyJhbGciOi" if jwt else "opaque-"
    tokens = [f"{beginning}{number:04d}{'-tail' * 5}" for number in range(2 * MIN_INDEXED + 1)]
    search = TokenSearch([*tokens, "another-of-the-other-kind", "eyJanother-of-the-other-kind"])
    problems, found = search.scan("e.yaml", f"{around}{tokens[which]}{around}")
    assert [problem.message for problem in problems] == ["holds the value of a token variable"]
    assert found == [tokens[which]]
    assert search.scan("e.yaml", around) == ([], [])
