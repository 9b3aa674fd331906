"""The standings of an environment and of its events."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from reconciler.core.overview import Cell, Overview, Standing, summarize_environment
from reconciler.core.planner import PlanInput, plan_environment, plan_orphan
from reconciler.core.record import adopt
from reconciler.model import EVENTS, By, Document, Event, Finding, FindingKind, Fingerprint, Intent
from tests.fakes import START, make_desired

DESIRED = make_desired("loja")
APPLIED = adopt(None, DESIRED, Fingerprint(), START, By(), lineage="l")
DEAD = Intent("i", DESIRED.webhooks, True, START, None, By())
LIVE = Intent("i", DESIRED.webhooks, False, START, START + timedelta(minutes=15), By())
STATUS = EVENTS.index(Event.MESSAGE_STATUS)


def summarize(
    document: Document | None, *findings: tuple[FindingKind, Event | None], failing: bool = False
) -> Overview:
    planned = plan_environment(DESIRED, document, Fingerprint(), PlanInput(START))
    found = [Finding("loja", kind, event, None, None, "") for kind, event in findings]
    return summarize_environment(planned, DESIRED, document, found, START, failing=failing)


def test_an_environment_without_findings_is_in_sync() -> None:
    """All seven events are in sync, and it has no other standing."""
    assert summarize(APPLIED) == Overview((Standing.SYNC,), (Cell.SYNC,) * 7)


def test_a_failing_receiver_leaves_it_in_sync() -> None:
    """Plug holds the right URLs, but the failing receiver comes first."""
    assert summarize(APPLIED, failing=True).standings == (Standing.FAILING, Standing.SYNC)


def test_drift_of_one_event_marks_its_cell_alone() -> None:
    """Live drift is more serious than a changed manifest."""
    overview = summarize(APPLIED, (FindingKind.UNAPPLIED, Event.MESSAGE_STATUS))
    assert overview.standings == (Standing.DRIFT,)
    assert [cell for cell in overview.cells if cell is not Cell.SYNC] == [Cell.DRIFT]
    both = summarize(APPLIED, (FindingKind.UNAPPLIED, Event.MESSAGE_STATUS), (FindingKind.LIVE, Event.MESSAGE_STATUS))
    assert both.cells[STATUS] is Cell.LIVE


def test_drift_other_than_of_a_url_leaves_no_cell_in_sync() -> None:
    """Another account, endpoint or age concerns all seven events; a secret only the URLs that have one."""
    for kind in (FindingKind.ACCOUNT, FindingKind.ENDPOINT, FindingKind.EXPIRED):
        assert summarize(APPLIED, (kind, None)) == Overview((Standing.DRIFT,), (Cell.BESIDE,) * 7)
    webhooks = {**DESIRED.webhooks, Event.MESSAGE_STATUS: "https://a.b/?k={secret:PLUG_SECRET_A}"}
    secretive = replace(DESIRED, webhooks=webhooks)
    planned = plan_environment(DESIRED, APPLIED, Fingerprint(), PlanInput(START))
    finding = Finding("loja", FindingKind.SECRET, None, None, None, "")
    overview = summarize_environment(planned, secretive, APPLIED, [finding], START)
    assert overview.standings == (Standing.DRIFT,)
    assert [index for index, cell in enumerate(overview.cells) if cell is Cell.BESIDE] == [STATUS]


def test_doubt_concerns_every_event() -> None:
    """A PUT sends all seven. A lease that is over means doubt, a live one a lock, which may be in doubt too."""
    assert summarize(replace(APPLIED, intent=DEAD)) == Overview((Standing.DOUBT,), (Cell.DOUBT,) * 7)
    assert summarize(replace(APPLIED, intent=replace(LIVE, lease_until=START))).standings == (Standing.DOUBT,)
    assert summarize(replace(APPLIED, intent=LIVE)) == Overview((Standing.LOCKED,), (Cell.LOCKED,) * 7)
    inherited = summarize(replace(APPLIED, intent=replace(LIVE, doubt=True)))
    assert inherited.standings == (Standing.DOUBT, Standing.LOCKED)
    drifted = summarize(replace(APPLIED, intent=DEAD), (FindingKind.UNAPPLIED, Event.MESSAGE_STATUS))
    assert drifted.standings == (Standing.DOUBT, Standing.DRIFT)
    assert drifted.cells[STATUS] is Cell.DRIFT


def test_an_environment_never_applied_is_not_drift() -> None:
    """Its seven findings only repeat that; doubt comes first."""
    unapplied = [(FindingKind.UNAPPLIED, event) for event in EVENTS]
    assert summarize(None, *unapplied) == Overview((Standing.NEVER,), (Cell.NEVER,) * 7)
    begun = Document("loja", "l", 1, intent=DEAD)
    assert summarize(begun, *unapplied).standings == (Standing.DOUBT, Standing.NEVER)


def test_an_orphan_is_never_in_sync() -> None:
    """It has no manifest to be in sync with."""
    finding = Finding("loja", FindingKind.ORPHAN, None, None, None, "")
    overview = summarize_environment(plan_orphan(APPLIED), None, APPLIED, [finding], START)
    assert overview == Overview((Standing.ORPHAN,), (Cell.ORPHAN,) * 7)


def test_events_that_could_not_be_seen_are_unknown() -> None:
    """The environment is unknown if no event was seen. A known difference still counts."""
    assert summarize(APPLIED, (FindingKind.UNOBSERVABLE, None)) == Overview((Standing.UNKNOWN,), (Cell.UNKNOWN,) * 7)
    unseen = [(FindingKind.UNOBSERVABLE, event) for event in EVENTS]
    assert summarize(APPLIED, *unseen).standings == (Standing.UNKNOWN,)
    overview = summarize(APPLIED, (FindingKind.UNOBSERVABLE, Event.WHEN_DISCONNECTING))
    assert overview.standings == (Standing.SYNC,)
    assert overview.cells == (*[Cell.SYNC] * 6, Cell.UNKNOWN)
    drifted = summarize(APPLIED, (FindingKind.UNOBSERVABLE, None), (FindingKind.UNAPPLIED, Event.MESSAGE_STATUS))
    assert drifted.cells[STATUS] is Cell.DRIFT
