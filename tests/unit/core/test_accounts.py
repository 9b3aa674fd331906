"""The environments that hold an account, as documents change (docs/contract.md#checks)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.accounts import AccountBook, Hold
from reconciler.core.record import Claim, adopt, begin_intent, mark_in_doubt
from reconciler.model import By, Document, Fingerprint, Head
from tests.conftest import examples
from tests.fakes import START, make_desired

ACCOUNTS = [None, "org:1", "org:2", "token:1"]
LEASE_S = 900


def make_head(name: str, applied: str | None, intent: str | None, *, in_doubt: bool = False) -> Document:
    document = adopt(None, make_desired(name), Fingerprint(applied), START, By(), lineage="l")
    if intent is None:
        return document
    document = begin_intent(document, make_desired(name), Claim("i", "l", START, LEASE_S, By(), intent))
    return mark_in_doubt(document) if in_doubt else document


heads = st.builds(make_head, st.just("x"), st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS), in_doubt=st.booleans())


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | heads), max_size=12))
def test_another_holder_is_found_after_any_updates(updates: list[tuple[str, Head | None]]) -> None:
    """The result is the same as from all present documents at once."""
    book, present = AccountBook(), dict[str, Head]()
    for name, head in updates:
        present.pop(name, None)
        if head is not None:
            present[name] = make_head(
                name,
                head.applied.account if head.applied else None,
                head.intent.account if head.intent else None,
                in_doubt=head.intent is not None and head.intent.doubt,
            )
        book.update(name, present.get(name))
    for account in ("org:1", "org:2", "token:1"):
        for environment in "abc":
            holding = {
                name
                for name, head in present.items()
                if (head.applied and head.applied.account == account)
                or (head.intent and head.intent.account == account)
            }
            found = book.find_other(account, environment, START)
            assert (found is not None) == bool(holding - {environment})
            assert found is None or found.environment in holding - {environment}


@pytest.mark.parametrize(
    ("after_s", "in_doubt", "hold"),
    [(0, False, Hold.SENDING), (LEASE_S, False, Hold.IN_DOUBT), (0, True, Hold.IN_DOUBT)],
)
def test_an_intent_holds_its_account_even_after_its_lease(after_s: float, in_doubt: bool, hold: Hold) -> None:
    """Plug may have received its PUT."""
    book = AccountBook({"a": make_head("a", "org:before", "org:1", in_doubt=in_doubt)})
    found = book.find_other("org:1", "b", START + timedelta(seconds=after_s))
    assert found is not None and found.hold is hold


def test_an_environment_that_is_sending_is_named_first() -> None:
    """This conflict can't be accepted with a flag, and it ends the soonest."""
    book = AccountBook(
        {"a": make_head("a", "org:1", None), "b": make_head("b", None, "org:1"), "c": make_head("c", "org:1", "org:1")}
    )
    found = book.find_other("org:1", "d", START)
    assert found is not None and (found.environment, found.hold) == ("b", Hold.SENDING)
    found = book.find_other("org:1", "d", START + timedelta(seconds=LEASE_S))
    assert found is not None and (found.environment, found.hold) == ("a", Hold.APPLIED)


def test_of_several_holders_the_first_by_name_is_named() -> None:
    """So two runs give the same message."""
    book = AccountBook({name: make_head(name, "org:1", None) for name in "hcbgfaed"})
    found = book.find_other("org:1", "z", START)
    assert found is not None and found.environment == "a"
