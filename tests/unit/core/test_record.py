"""The transitions of a document, field by field. A transition must not change other fields.

See docs/contract.md#apply, docs/state.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from reconciler.core import record
from reconciler.model import BodyForm, By, Desired, Document, Fingerprint, Intent, Outcome
from tests.fakes import START, make_desired

BY = By("ana", "c0ffee", "1/1")
LATER = START + timedelta(seconds=30)
PRINT = Fingerprint("org:1", {"PLUG_SECRET_A": "hmac-sha256:1"}, LATER)
LAST = record.make_last(Outcome.REJECTED, 401, "refused", LATER, BY)
OLD, NEW = make_desired(), make_desired(version="2")


def claim(intent_id: str = "ours") -> record.Claim:
    return record.Claim(intent_id, "lineage", START, 900.0, BY, "org:1")


def applied(desired: Desired = OLD) -> Document:
    return record.confirm(record.begin_intent(None, desired, claim()), desired, PRINT, START, BY)


def begun(intent_id: str = "ours") -> Document:
    return record.begin_intent(applied(), NEW, claim(intent_id))


def intent_of(document: Document) -> Intent:
    assert document.intent is not None
    return document.intent


def test_an_intent_has_the_webhooks_the_author_and_the_lease() -> None:
    """The applied record and the history are not changed."""
    document = begun()
    assert document.intent == Intent(
        "ours", NEW.webhooks, False, START, START + timedelta(seconds=900), BY, OLD.endpoint, "org:1"
    )
    assert document == replace(applied(), serial=3, intent=document.intent)


def test_the_first_intent_starts_a_lineage() -> None:
    """The serial is 1, and nothing is applied."""
    document = record.begin_intent(None, OLD, claim())
    assert (document.environment, document.lineage, document.serial) == ("production", "lineage", 1)
    assert (document.applied, document.history) == (None, ())
    assert not intent_of(document).doubt


def test_an_intent_over_an_unfinished_one_is_in_doubt() -> None:
    """The earlier run died, so its own `doubt` does not matter."""
    again = record.begin_intent(begun("dead"), NEW, claim())
    assert (intent_of(again).id, intent_of(again).doubt) == ("ours", True)


def test_a_renewed_lease_changes_the_lease_alone() -> None:
    """The intent is the same otherwise."""
    until = LATER + timedelta(seconds=900)
    renewed = record.renew(begun(), LATER, 900.0)
    assert renewed == replace(begun(), serial=4, intent=replace(intent_of(begun()), lease_until=until))


def test_a_doubt_keeps_the_intent_and_releases_its_lease() -> None:
    """So the next run may begin at once, and finds the doubt."""
    doubted = record.mark_in_doubt(begun())
    assert doubted == replace(begun(), serial=4, intent=replace(intent_of(begun()), doubt=True, lease_until=None))


def test_a_cleared_document_differs_from_the_one_before_in_the_serial_alone() -> None:
    """Plug was not changed."""
    assert record.clear(begun()) == replace(applied(), serial=4)


def test_without_an_intent_there_is_nothing_to_renew_or_doubt() -> None:
    """Such a call is a programming error and must not give a document."""
    steps: tuple[Callable[[], Document], ...] = (
        lambda: record.renew(applied(), START, 900.0),
        lambda: record.mark_in_doubt(applied()),
        lambda: record.impose_doubt(None, applied(), START),
    )
    for step in steps:
        with pytest.raises(ValueError, match=r"there (is|was) no intent"):
            step()


def test_a_confirmed_document_has_the_sent_webhooks_and_the_fingerprint() -> None:
    """The newest entry of the history has only the events that changed."""
    half = replace(OLD, webhooks={**OLD.webhooks, **dict(list(NEW.webhooks.items())[:3])})
    confirmed = record.confirm(record.begin_intent(applied(), half, claim()), half, PRINT, LATER, BY)
    assert confirmed.applied is not None
    assert (confirmed.intent, confirmed.serial) == (None, 4)
    assert (confirmed.applied.endpoint, confirmed.applied.account) == (half.endpoint, "org:1")
    assert (confirmed.applied.webhooks, confirmed.applied.secrets) == (half.webhooks, PRINT.secrets)
    assert (confirmed.applied.at, confirmed.applied.by, confirmed.applied.adopted) == (LATER, BY, False)
    assert (confirmed.applied.body, confirmed.applied.token_expires_at) == (BodyForm.FLAT, LATER)
    newest, first = confirmed.history
    assert dict(newest.webhooks) == dict(list(NEW.webhooks.items())[:3])
    assert dict(first.webhooks) == dict(OLD.webhooks)
    assert (newest.at, newest.by, newest.adopted) == (LATER, BY, False)


def test_an_adopted_document_says_so() -> None:
    """The record and the history say it. Without a document a lineage starts."""
    document = record.adopt(None, OLD, PRINT, START, BY, lineage="new")
    assert document.applied is not None
    assert (document.lineage, document.serial, document.applied.adopted) == ("new", 1, True)
    assert document.history[0].adopted
    assert record.adopt(begun(), OLD, PRINT, START, BY, lineage="new").lineage == "lineage"


def test_a_doubt_is_imposed_on_a_settled_document() -> None:
    """The run's own intent is restored, in doubt and without a lease; another run's record stays."""
    standing = replace(applied(NEW), serial=9)
    doubted = record.impose_doubt(standing, begun(), LATER)
    assert doubted == replace(standing, serial=10, intent=replace(intent_of(begun()), doubt=True, lease_until=None))


def test_a_doubt_is_imposed_if_the_document_is_gone() -> None:
    """A new document of the same lineage has no applied record, and a higher serial than all written before."""
    doubted = record.impose_doubt(None, begun(), LATER)
    orphaned = replace(intent_of(begun()), doubt=True, lease_until=None)
    assert doubted == Document(environment="production", lineage="lineage", serial=4, intent=orphaned)


def test_another_runs_live_intent_is_kept_and_put_in_doubt() -> None:
    """Its id and lease keep further runs away; at its end that run finds the doubt."""
    standing = begun("theirs")
    doubted = record.impose_doubt(standing, begun(), LATER)
    assert doubted == replace(standing, serial=4, intent=replace(intent_of(standing), doubt=True))


@pytest.mark.parametrize("seconds", [901, 10_000])
def test_another_runs_dead_intent_is_replaced(seconds: int) -> None:
    """Both intents are in doubt, and no run holds the lock."""
    doubted = record.impose_doubt(begun("theirs"), begun(), START + timedelta(seconds=seconds))
    assert (intent_of(doubted).id, intent_of(doubted).doubt, intent_of(doubted).lease_until) == ("ours", True, None)


def test_the_runs_own_live_intent_is_released() -> None:
    """No other run holds the lock, so the intent needs no lease."""
    doubted = record.impose_doubt(replace(begun(), serial=7), begun(), LATER)
    assert (intent_of(doubted).lease_until, doubted.serial) == (None, 8)


def test_an_environment_that_another_ones_put_overwrites_is_in_doubt() -> None:
    """Without an intent it gets the other one's; an unfinished intent of its own is put in doubt."""
    theirs = replace(intent_of(begun("theirs")), doubt=True, lease_until=None)
    assert record.mark_holder_in_doubt(applied(), theirs) == replace(applied(), serial=3, intent=theirs)
    assert record.mark_holder_in_doubt(begun(), theirs) == record.mark_in_doubt(begun())
    ended = replace(begun(), intent=replace(intent_of(begun()), doubt=True))
    assert record.mark_holder_in_doubt(ended, theirs) == record.mark_in_doubt(ended)
    assert record.mark_holder_in_doubt(record.mark_in_doubt(begun()), theirs) is None


# --- the last try ----------------------------------------------------------------------------------


STEPS: tuple[Callable[..., Document], ...] = (
    lambda *last: record.clear(begun(), *last),
    lambda *last: record.mark_in_doubt(begun(), *last),
    lambda *last: record.confirm(begun(), NEW, PRINT, LATER, BY, *last),
    lambda *last: record.impose_doubt(applied(), begun(), LATER, *last),
    lambda *last: record.impose_doubt(None, begun(), LATER, *last),
)


@pytest.mark.parametrize("step", STEPS)
def test_the_transition_that_ends_a_try_records_it_and_changes_nothing_else(
    step: Callable[..., Document],
) -> None:
    """Both are in the same write."""
    assert step(LAST) == replace(step(), last=LAST)


def test_a_transition_without_a_try_keeps_the_last_try() -> None:
    """Examples are a new intent, a renewed lease, an intent that is removed, an unlock and an adoption."""
    tried = record.begin_intent(record.clear(begun(), LAST), NEW, claim())
    assert tried.last == LAST
    steps = (record.renew(tried, LATER, 900.0), record.clear(tried), record.mark_in_doubt(tried))
    assert {document.last for document in steps} == {LAST}
    assert record.adopt(tried, OLD, PRINT, START, BY, lineage="new").last == LAST


def test_the_message_of_a_last_try_always_fits() -> None:
    """It may be very long, and contain a lone surrogate, which is not valid in UTF-8."""
    made = record.make_last(Outcome.FAILED, None, "\udcff" + "x" * 1000, LATER, BY)
    assert made.message == "?" + "x" * 499


# --- where a record was applied --------------------------------------------------------------------


def test_a_history_entry_keeps_its_endpoint_and_account_if_the_next_newer_ones_differ() -> None:
    """From the applied record backwards, the values of each record are known."""
    moved = replace(NEW, endpoint="https://other.example.com/update-webhooks")
    document = record.confirm(begun(), OLD, PRINT, LATER, BY)
    document = record.confirm(document, moved, PRINT, LATER, BY)
    document = record.confirm(document, moved, replace(PRINT, account=None), LATER, BY)
    document = record.adopt(document, moved, PRINT, LATER, BY, lineage="new")
    document = record.confirm(document, moved, replace(PRINT, token_expires_at=None), LATER, BY)
    assert [(entry.endpoint, entry.account) for entry in document.history] == [
        (None, None),
        (None, None),
        (moved.endpoint, None),  # without a token: the next record's account is known
        (moved.endpoint, "org:1"),
        (OLD.endpoint, "org:1"),
        (None, None),
    ]


def test_a_record_without_a_history_can_be_replaced() -> None:
    """A state file that was corrected by hand may have none."""
    document = record.confirm(replace(begun(), history=()), NEW, PRINT, LATER, BY)
    assert [entry.at for entry in document.history] == [LATER]


def test_a_record_and_its_history_have_the_body_form() -> None:
    """A history entry has it if the next newer record has another one."""
    wrapped = replace(NEW, body=BodyForm.VALUE)
    document = record.confirm(begun(), wrapped, PRINT, LATER, BY)
    document = record.adopt(document, wrapped, PRINT, LATER, BY, lineage="new")
    document = record.confirm(document, NEW, PRINT, LATER, BY)
    assert document.applied is not None and document.applied.body is BodyForm.FLAT
    found = [(entry.endpoint, entry.body) for entry in document.history]
    assert found == [(None, None), (None, BodyForm.VALUE), (None, None), (None, BodyForm.FLAT)]


# --- what may follow -------------------------------------------------------------------------------


def test_what_may_follow_an_intent_is_no_larger_than_foreseen() -> None:
    """The serial has room for renewed leases, and the size for the longest message."""
    ours = begun()
    confirmed, doubted = record.find_following(ours, NEW, PRINT)
    assert confirmed.applied is not None and confirmed.applied.webhooks == NEW.webhooks
    assert doubted.intent is not None and doubted.last is not None
    assert {confirmed.serial, doubted.serial} == {ours.serial + record.SERIAL_ROOM}
    assert len(doubted.last.message) == record.MESSAGE_LENGTH
    with pytest.raises(ValueError, match="no intent"):
        record.find_following(applied(), NEW, PRINT)
