"""Adoption: what is recorded without a PUT, and what is refused (docs/contract.md#commands)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from reconciler.core.observe import UNOBSERVABLE, EventComparison, Observation, Verdict
from reconciler.core.record import Claim, adopt, begin_intent, mark_in_doubt
from reconciler.errors import Conflict, InputError
from reconciler.model import By, Desired, Document, Event, Fingerprint
from reconciler.ports import StateStore, Write
from reconciler.run.adopting import AdoptionReview, find_adoptions, review_adoptions, write_adoptions
from tests.fakes import START, FakeCredentials, make_desired
from tests.memory_store import filled

STATUS, DISCONNECTING = Event.MESSAGE_STATUS, Event.WHEN_DISCONNECTING
UNSEEN = EventComparison(DISCONNECTING, Verdict.UNSEEN, reason="the partner API never shows it")
SAME = EventComparison(STATUS, Verdict.SAME)
UNCOMPARED = EventComparison(STATUS, Verdict.UNCOMPARED, reason="PLUG_SECRET_A is not available")
GARBLED = EventComparison(STATUS, Verdict.GARBLED, reason="neither a text nor null")
OTHER = EventComparison(STATUS, Verdict.DIFFERENT, "https://by.hand.example.com/")
GONE = EventComparison(STATUS, Verdict.DIFFERENT, None)


def recorded(name: str, account: str) -> Document:
    return adopt(None, make_desired(name), Fingerprint(account), START, By("ana"), lineage="l")


def review(
    seen: Mapping[str, Observation] | None,
    *documents: Document,
    store: StateStore | None = None,
    unverified: bool = False,
    skip_recorded: bool = False,
) -> AdoptionReview:
    """Review `a` and `b` of the manifests; `a` has an account.

    With `seen` None there is no token to read with.
    """
    desired = [make_desired("a", account_id="1"), make_desired("b")]

    def observe(asked: Sequence[Desired], compared: Mapping[str, Document]) -> Mapping[str, Observation]:
        assert all(compared[one.environment].applied is not None for one in asked)
        return {one.environment: (seen or {}).get(one.environment, UNOBSERVABLE) for one in asked}

    found = find_adoptions({"a", "b"}, desired, store or filled(*documents), FakeCredentials(), START, By("ana"))
    return review_adoptions(
        found,
        None if seen is None else observe,
        no_token="there is no partner token",
        unverified=unverified,
        skip_recorded=skip_recorded,
    )


def names(found: AdoptionReview) -> list[str]:
    return [one.desired.environment for one in found.adoptions]


def messages(found: AdoptionReview) -> list[str]:
    return [f"{problem.key}: {problem.message}" for problem in found.problems]


B_UNREAD = "account_id: what Plug holds of b was not read: its manifest has no account_id"


def test_what_was_read_and_is_the_same_is_adopted() -> None:
    """Unseen events are named. An environment that could not be read is refused until the user vouches for it."""
    seen = {"a": Observation((SAME, UNSEEN))}
    found = review(seen)
    assert (names(found), messages(found)) == (["a"], [B_UNREAD])
    assert found.evidence["a"].unseen == (UNSEEN,)
    assert names(review(seen, unverified=True)) == ["a", "b"]


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (None, "account_id: what Plug holds of a was not read: there is no partner token"),
        ({"a": Observation(failure="404: no")}, "account_id: what Plug holds of a was not read: 404: no"),
        (
            {"a": Observation((UNCOMPARED, UNSEEN))},
            "webhooks.messageStatus: what Plug holds of a was not compared: PLUG_SECRET_A is not available",
        ),
        (
            {"a": Observation((GARBLED,))},
            "webhooks.messageStatus: what Plug holds of a was not compared: neither a text nor null",
        ),
    ],
)
def test_what_could_not_be_compared_needs_the_users_word(seen: Mapping[str, Observation] | None, message: str) -> None:
    """The account, the token, the answer or a secret is missing."""
    found = review(seen)
    assert (names(found), messages(found)) == ([], [message, B_UNREAD])
    assert "--unverified" in found.problems[0].hint
    assert names(review(seen, unverified=True)) == ["a", "b"]


def test_of_a_url_that_differs_no_key_is_shown() -> None:
    """A part of its path may be a secret that no manifest names. The host is shown in any case."""
    url = "https://hooks2.acme-br1.example.com/a/0123456789abcdef0123/b?key=…"
    found = review({"a": Observation((replace(OTHER, actual=url),))})
    assert "Plug holds https://hooks2.acme-br1.example.com/a/…/b?key=…," in messages(found)[0]


@pytest.mark.parametrize("unverified", [False, True])
@pytest.mark.parametrize(
    ("different", "held"),
    [(OTHER, "Plug holds https://by.hand.example.com/"), (GONE, "nothing is registered in Plug")],
)
def test_a_difference_is_refused_whatever_the_user_says(
    different: EventComparison, held: str, *, unverified: bool
) -> None:
    """The problem names the event and its line in the manifest."""
    found = review({"a": Observation((different, UNSEEN))}, unverified=unverified)
    assert "a" not in names(found)
    assert messages(found)[0] == f"webhooks.messageStatus: {held}, which is not what the manifest of a says"
    assert found.problems[0].line == make_desired("a").sources[STATUS].line


def test_of_many_the_recorded_ones_are_left_out() -> None:
    """Nothing new would be recorded. An environment in doubt, or with another account, is adopted again."""
    same, seen = recorded("a", "org:a"), {"a": Observation((SAME,))}
    assert (names(review(seen, same, skip_recorded=True)), review(seen, same, skip_recorded=True).recorded) == (
        [],
        ["a"],
    )
    assert names(review(seen, same)) == ["a"]
    assert names(review(seen, recorded("a", "org:x"), skip_recorded=True)) == []  # another company's token
    claim = Claim("i", "l", START, 900, By("ana"))
    in_doubt = mark_in_doubt(begin_intent(same, make_desired("a"), claim))
    assert names(review(seen, in_doubt, skip_recorded=True)) == ["a"]
    live = review(seen, begin_intent(same, make_desired("a"), claim))
    assert (names(live), [one.environment for one in live.locked]) == ([], ["a"])


def test_what_another_run_wrote_meanwhile_is_not_overwritten() -> None:
    """The other environments are recorded."""
    store = filled()
    found = review({"a": Observation((SAME,))}, store=store, unverified=True)
    store.write([Write("a", recorded("a", "org:x"), None)])
    (error,) = write_adoptions(store, found.adoptions)
    assert isinstance(error, Conflict)
    stored = store.read(["a", "b"])
    assert stored["a"].document == recorded("a", "org:x")
    assert stored["b"].document.applied is not None


def adoptable(account: str, pin: str | None, *documents: Document) -> list[tuple[str, str]]:
    """Return key, message and hint of each reason why `a` may not be adopted with a token of this account."""
    desired, credentials = [replace(make_desired("a"), organization_id=pin), make_desired("b")], FakeCredentials()
    credentials.accounts["a"] = account
    found = find_adoptions({"a"}, desired, filled(*documents), credentials, START, By("ana"))
    assert [one.desired.environment for one in found.found] == ([] if found.problems else ["a"])
    return [(problem.key, f"{problem.message}. {problem.hint}") for problem in found.problems]


def test_an_environment_is_adopted_with_its_own_companys_token() -> None:
    """This includes a token that names no company, and a manifest that says that the company changed."""
    assert adoptable("org:a", None) == []
    assert adoptable("org:a", "a", recorded("a", "org:a"), recorded("b", "org:b")) == []
    assert adoptable("token:1", "a", recorded("a", "org:a")) == []
    assert adoptable("org:c", "c", recorded("a", "org:a")) == []


def test_another_companys_token_is_not_adopted() -> None:
    """It is compared with the manifest, the record and all other environments, as before an intent."""
    ((key, text),) = adoptable("org:c", "a", recorded("a", "org:a"), recorded("b", "org:c"))
    assert (key, "accept" in text) == ("organization_id", False)
    ((key, text),) = adoptable("org:c", None, recorded("a", "org:a"))
    assert (key, "`reconciler apply -e a --accept-account-change a`" in text) == ("token_env", True)
    ((key, text),) = adoptable("org:b", "b", recorded("a", "org:a"), recorded("b", "org:b"))
    assert (key, "that b was last applied to" in text) == ("token_env", True)


def test_of_two_with_one_token_the_second_is_refused() -> None:
    """Neither is in the state yet."""
    desired, credentials = [make_desired("a"), make_desired("b")], FakeCredentials()
    credentials.accounts |= {"a": "org:1", "b": "org:1"}
    found = find_adoptions({"a", "b"}, desired, filled(), credentials, START, By("ana"))
    assert [one.desired.environment for one in found.found] == ["a"]
    assert "that a was last applied to" in found.problems[0].message


def test_an_environment_of_no_manifest_is_not_adopted() -> None:
    """There is nothing to record."""
    with pytest.raises(InputError, match="'x' is in no manifest"):
        find_adoptions({"x"}, [make_desired("a")], filled(), FakeCredentials(), START, By("ana"))
