"""The guards over the changes of one merge, compared with a simple count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.guards import MaxChanged
from reconciler.core.planner import Fleet, PlanInput, Planned, make_plan
from reconciler.core.record import adopt
from reconciler.core.workflow.change import find_change, find_own_refusals, find_watched_paths
from reconciler.model import By, Desired, Fingerprint
from tests.fakes import START, make_desired

versions = st.none() | st.sampled_from("123")
# the applied version of an environment, the version of the base, and that of the merge
fleets = st.dictionaries(
    st.sampled_from([f"e{number}" for number in range(8)]), st.tuples(versions, versions, versions)
)


def desired(name: str, version: str) -> Desired:
    one = make_desired(name)
    return make_desired(name, webhooks=dict.fromkeys(one.webhooks, f"https://hooks.acme.com.br/{version}"))


@given(fleets, st.integers(0, 4))
def test_own_updates_alone_are_refused(fleet: dict[str, tuple[str | None, str | None, str | None]], most: int) -> None:
    """Changes of earlier merges, new and removed environments, and a return to the applied version do not count."""
    base = [desired(name, version) for name, (_, version, _) in fleet.items() if version]
    merged = [desired(name, version) for name, (_, _, version) in fleet.items() if version]
    heads = {
        name: adopt(None, desired(name, version), Fingerprint(), START, By(), lineage="l")
        for name, (version, _, _) in fleet.items()
        if version
    }
    plan = make_plan(merged, heads, lambda one: Fingerprint(), PlanInput(START))
    names = {one.environment: one for one in merged}
    planned = Planned(plan, names, heads, fleet=Fleet(frozenset(names), heads))
    change = find_change(base, merged)
    own = [name for name, (was, before, after) in fleet.items() if before != after and was and after and was != after]
    refused = find_own_refusals(planned, change, MaxChanged(most, percent=False))
    assert bool(refused) is (len(own) > most)
    assert set(change.changed) == {name for name, (_, before, after) in fleet.items() if after and before != after}
    assert set(change.removed) == {name for name, (_, before, after) in fleet.items() if before and not after}


def test_files_that_decide_who_reviews_and_what_runs_are_watched() -> None:
    """The paths are those that GitHub and git read."""
    paths = [
        ".github/x.yml",
        "docs/CODEOWNERS",
        "CODEOWNERS",
        "docs/x",
        "manifests/.github/x",
        "x/CODEOWNERS",
        "x/.gitattributes",
    ]
    assert find_watched_paths(paths) == ("CODEOWNERS", "docs/CODEOWNERS", "x/.gitattributes", ".github/x.yml")
