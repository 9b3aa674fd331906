"""The plan's facts about the state that it was made from (docs/contract.md#commands)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.core.planner import PlanInput
from reconciler.core.record import Claim, adopt, begin_intent
from reconciler.model import By, Document, Fingerprint, Where
from reconciler.ports import Write
from reconciler.run.planning import PlanScope, plan_environments
from reconciler.text.new_state import describe_new_state
from tests.fakes import START, FakeCredentials, make_desired
from tests.memory_store import MemoryStore

ONE, OTHER = make_desired("one"), make_desired("other")


class Store(MemoryStore):
    """A store that knows a branch with a similar name."""

    def __init__(self, *documents: Document) -> None:
        super().__init__()
        self.write([Write(document.environment, document, None) for document in documents])

    def find_near(self) -> str | None:
        return "state"


def applied(name: str) -> Document:
    return adopt(None, make_desired(name), Fingerprint(), START, By("ana"), lineage="l")


def tried(name: str) -> Document:
    return begin_intent(None, make_desired(name), Claim("i", "l", START, 900, By("ana")))


def plan(store: Store, *globs: str) -> Where:
    given, scope = PlanInput(START), PlanScope(globs)
    planned = plan_environments([ONE, OTHER], store, FakeCredentials(), given, scope, location="git:origin/stat")
    assert planned.plan.where is not None
    return planned.plan.where


@pytest.mark.parametrize(
    ("ahead_s", "expected"),
    [
        (60, ""),
        (61, "one was last applied in the future: the clock of that run was wrong, or this one is. With max_age"),
    ],
)
def test_a_record_from_the_future_is_a_warning(ahead_s: int, expected: str) -> None:
    """It hides that it expired. An orphan and one that is not selected can't be sent again, so they are not named."""
    store = Store(applied("one"), applied("gone"), applied("other"))
    given = PlanInput(START - timedelta(seconds=ahead_s), max_age_s=1)
    planned = plan_environments([ONE, OTHER], store, FakeCredentials(), given, PlanScope(["one"]))
    (*rest, warning) = planned.plan.warnings or ("",)
    assert (rest, warning[: len(expected)] if expected else warning) == ([], expected)


def test_many_records_from_the_future_are_one_warning() -> None:
    store = Store(applied("one"), applied("other"))
    planned = plan_environments([ONE, OTHER], store, FakeCredentials(), PlanInput(START - timedelta(days=30)))
    (warning,) = planned.plan.warnings
    assert warning.startswith("2 environments were last applied in the future (one, other): the clock of ")


def test_an_empty_state_is_new_and_has_a_near_name() -> None:
    where = plan(Store())
    assert (where.location, where.documents, where.is_new, where.near) == ("git:origin/stat", 0, True, "state")
    assert [(api.host, api.environments) for api in where.apis] == [("plug.example.com", 2)]


def test_a_state_of_unfinished_tries_is_still_new() -> None:
    """Nothing was applied to it, although it has documents."""
    where = plan(Store(tried("one"), tried("gone")))
    assert (where.documents, where.is_new) == (2, True)


def test_one_record_of_any_environment_makes_it_known() -> None:
    """The environment need not be selected, nor in a manifest; similar names are not looked up."""
    for name in ("one", "other", "gone"):
        store = Store(applied(name))
        empty = plan(Store(), "one")
        assert plan(store, "one") == Where("git:origin/stat", 1, empty.apis, state_id=empty.state_id)


def test_a_document_that_cannot_be_read_is_no_sign_of_a_new_state() -> None:
    store = Store(tried("gone"))
    store.documents["broken"] = b""
    where = plan(store, "one")
    assert (where.documents, where.is_new) == (2, False)


def test_what_a_sandbox_got_does_not_vouch_for_the_state_of_plug() -> None:
    """A trial in the state of a team must not switch off the question before the first apply to Plug."""
    trial = make_desired("one", endpoint="http://127.0.0.1:8787/webhooks")
    store = Store(adopt(None, trial, Fingerprint(), START, By("ana"), lineage="l"))
    where = plan(store)
    assert (where.is_new, where.had_trials, where.needs_vouching) == (True, True, True)
    assert describe_new_state(where).startswith("git:origin/stat has only what a sandbox got; if that is wrong")
    again = plan_environments([trial], store, FakeCredentials(), PlanInput(START)).plan.where
    assert again is not None and (again.is_new, again.had_trials) == (False, False)
    store.write([Write("other", applied("other"), None)])
    assert (plan(store).is_new, plan(store).had_trials) == (False, False)
