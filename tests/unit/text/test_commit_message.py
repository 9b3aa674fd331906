"""The message of a commit to the state's branch: the audit trail (docs/state.md)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.core.record import Claim, adopt, begin_intent, clear, confirm, mark_in_doubt, renew
from reconciler.model import By, Document, Fingerprint
from reconciler.text.commit_message import MAX_LINES, describe_change, describe_commit
from tests.fakes import START, make_desired

BY = By("ana", "c0ffee", "7/1")
EVA = By("eva", None, None)
PRINT = Fingerprint("org:1")


def begun(before: Document | None = None, name: str = "production") -> Document:
    return begin_intent(before, make_desired(name), Claim("i", "l", START, 900, BY))


def adopted(name: str = "production", by: By = EVA) -> Document:
    return adopt(None, make_desired(name), PRINT, START, by, lineage="l")


APPLIED = confirm(begun(), make_desired(), PRINT, START, BY)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (None, begun(), "intent"),
        (APPLIED, begun(APPLIED), "intent"),
        (begun(), renew(begun(), START, 900), "intent"),
        (begun(), mark_in_doubt(begun()), "uncertain"),
        (begun(), APPLIED, "applied"),
        (begun(APPLIED), confirm(begun(APPLIED), make_desired(), PRINT, START, BY), "applied"),
        (begun(APPLIED), clear(begun(APPLIED)), "not applied"),
        (None, adopted(), "adopted"),
        (adopted(), begun(adopted()), "intent"),
        (begun(), None, "removed"),
        (mark_in_doubt(begun()), None, "forgotten"),
        (APPLIED, None, "forgotten"),
        (begun(APPLIED), None, "forgotten"),
        (None, None, "forgotten"),
    ],
)
def test_a_write_is_described_by_its_effect(before: Document | None, after: Document | None, word: str) -> None:
    assert describe_change(before, after) == word


def test_equal_changes_make_the_subject_and_each_has_its_line() -> None:
    message = describe_commit([("b", None, begun(name="b")), ("a", None, begun(name="a"))])
    assert message == "intent: a, b\n\na: intent\nb: intent\n\nactor: ana\ncommit: c0ffee\nrun: 7/1\n"


def test_different_changes_are_counted() -> None:
    message = describe_commit([("a", begun(), APPLIED), ("b", None, begun()), ("c", None, begun())])
    assert message.splitlines()[0] == "1 applied, 2 intent"
    assert message.splitlines()[2:5] == ["a: applied", "b: intent", "c: intent"]


@pytest.mark.parametrize("count", [MAX_LINES, MAX_LINES + 1])
def test_a_long_list_is_cut_and_the_rest_is_counted(count: int) -> None:
    message = describe_commit([(f"e{number:03}", None, begun()) for number in range(count)])
    listed = [line for line in message.splitlines() if line.endswith(": intent")]
    assert len(listed) == MAX_LINES
    assert ("and 1 more" in message.splitlines()) == (count > MAX_LINES)


@pytest.mark.parametrize(
    ("before", "after", "who"),
    [
        (None, adopted(by=By("eva", "c0de", None)), "actor: eva\ncommit: c0de\n"),
        (begun(), None, "actor: ana\ncommit: c0ffee\nrun: 7/1\n"),
        (adopted(), clear(begun(adopted())), "actor: eva\n"),
        (adopted(), None, ""),
        (None, adopted(by=By(None, None, None)), ""),
    ],
    ids=["adopted", "removed", "rejected", "forgotten", "unknown"],
)
def test_the_message_says_who_did_it_if_that_is_known(
    before: Document | None, after: Document | None, who: str
) -> None:
    """A forgotten document's record was written by another user, who is not named."""
    head, _, tail = describe_commit([("a", before, after)]).partition("\n\na: ")
    assert head.endswith(": a")
    assert tail.partition("\n\n")[2] == who


def test_an_actors_name_can_not_start_a_line() -> None:
    message = describe_commit(
        [("a", None, replace(begun(), intent=None, applied=adopted(by=By("a\nb: applied")).applied))]
    )
    assert "\nb: applied" not in message
