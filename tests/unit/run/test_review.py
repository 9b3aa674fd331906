"""A review: the decision about a test merge, and when its comment is written."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from msgspec.structs import replace

from reconciler.core.guards import MaxChanged
from reconciler.core.planner import Fleet, PlanInput, Planned, make_plan
from reconciler.core.policy import Policy
from reconciler.core.record import adopt
from reconciler.core.workflow.change import Review, SettingChange, Unposted
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.markers import Marker
from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.errors import PostFailed, Unreachable
from reconciler.model import ApiUse, By, Desired, Fingerprint, Where
from reconciler.ports import Posted, PostEffect, PullRequest
from reconciler.run.review import Side, Trial, post_review, review
from tests.fakes import START, make_desired
from tests.unit.run.fake_hub import FakeHub

HEAD, BASE = "a" * 40, "b" * 40
MARKER = Marker("plan", 7, 1)
OURS = {event: f"https://hooks.acme.com.br/{event}" for event in make_desired().webhooks}


def desired(name: str, path: str = "") -> Desired:
    return make_desired(name, webhooks={event: url + path for event, url in OURS.items()})


def plan(wanted: list[Desired], applied: list[Desired], where: Where | None = None) -> Planned:
    heads = {one.environment: adopt(None, one, Fingerprint(), START, By(), lineage="l") for one in applied}
    made = make_plan(wanted, heads, lambda one: Fingerprint(), PlanInput(START))
    names = {one.environment: one for one in wanted}
    return Planned(replace(made, where=where), names, heads, fleet=Fleet(frozenset(names), heads))


def trial(before: list[Desired], after: list[Desired], limit: MaxChanged | None = None) -> Trial:
    return Trial(BASE, HEAD, 4, Side(before, limit=limit), Side(after))


def judge(given: Trial, planned: Planned, hub: FakeHub | None = None) -> Review:
    return review(given, hub or FakeHub(), lambda: planned, may_lack_state=False)


A, B, C = (desired(name) for name in "abc")
A2, B2, C2 = (desired(name, "/2") for name in "abc")
NONE, ALL = MaxChanged(0, percent=False), MaxChanged(100, percent=True)


@pytest.mark.parametrize(
    ("before", "after", "limit", "is_red"),
    [
        ([A, B], [A2, B], MaxChanged(1, percent=False), False),  # its own change fits
        ([A, B], [A2, B], NONE, True),
        ([A2, B], [A2, B], NONE, False),  # what waits is not its own
        ([A, B], [A, B, C], NONE, False),  # a new environment is no update
        ([A2, B], [A, B], NONE, False),  # a revert to what is applied puts nothing
        ([A, B], [B], NONE, False),  # an orphan is never touched
    ],
)
def test_only_its_own_updates_count(
    before: list[Desired], after: list[Desired], limit: MaxChanged, is_red: bool
) -> None:
    """They are those of the environments that the merge changes; the base's limit decides."""
    assert judge(trial(before, after, limit), plan(after, [A, B])).is_red is is_red


def test_the_change_names_what_is_new_changed_and_gone() -> None:
    """A changed description does not change an environment."""
    found = judge(trial([A, B, C], [A2, replace(B, description="x"), desired("d")]), plan([A2, B], [A, B, C]))
    assert (found.change.changed, found.change.removed) == (("a", "d"), ("c",))


def test_what_the_merge_needs_elsewhere_is_found_and_never_red() -> None:
    """The workflows are the merge's own; a base that can't be compared has no new environments."""
    c = replace(C, secrets=("PLUG_SECRET_C",))
    given = replace(trial([A], [A, c]), workflows={"apply-wave.yml": ""})
    found = judge(given, plan([A, c], [A]))
    assert [one.command for one in found.advice] == [
        "PLUG_SECRET_C: ${{ secrets.PLUG_SECRET_C }}",
        "reconciler github setup -e c",
    ]
    assert not found.is_red
    broken = replace(given, before=Side(fault="a broken base"))
    assert len(judge(broken, plan([A, c], [A])).advice) == 1
    assert judge(replace(given, layout=JobLayout(TokensFrom.SECRET)), plan([A, c], [A])).advice == ()


def test_what_loosens_a_rule_is_found() -> None:
    """These are settings, the policy of kept environments, workflows and code owners."""
    before = Side([A], {"a": Policy(), "b": Policy()}, {"state": "x", "timeout": "30"})
    after = Side(
        [A], {"a": Policy(denied=("x",)), "b": Policy(), "c": Policy(denied=("x",))}, {"state": "y", "timeout": "30"}
    )
    paths = ["manifests/a.yaml", ".github/workflows/x.yml", "CODEOWNERS", "notes/x.md"]
    found = judge(Trial(BASE, HEAD, 4, before, after, paths=paths), plan([A], [A])).loosening
    assert found.settings == (SettingChange("state", "x", "y"),)
    assert found.policies == ("a",)
    assert found.paths == (".github/workflows/x.yml", "CODEOWNERS")


def test_an_unknown_limit_of_the_base_lets_no_update_pass_without_the_label() -> None:
    """Its settings can't be read. A merge that updates nothing passes, so that it can repair the base."""
    unknown = replace(trial([], [A2]), before=Side(fault="reconciler.toml: is not valid"))
    found = judge(unknown, plan([A2], [A]))
    assert [one.message for one in found.refused] == [
        "1 of 1 applied environments would be updated, and the limit of the base is not known"
    ]
    assert found.loosening.unknown == ("settings", "policy")
    label = LabelSetting(Label.LARGE_CHANGE, "ana", counts=True)
    assert not judge(unknown, plan([A2], [A]), FakeHub(labels={Label.LARGE_CHANGE: label})).is_red
    assert not judge(unknown, plan([A], [A])).is_red


def test_files_of_rules_are_listed_if_the_base_has_a_fault() -> None:
    """With readable settings, only the policy is not known."""
    paths = ["_defaults.yaml", "a/_defaults.yaml", "a/loja.yaml", "ops/reconciler.toml", "pyproject.toml"]
    given = Trial(BASE, HEAD, 4, Side(settings={"state": "x"}, fault="loja is twice"), Side([A]), paths=paths)
    found = judge(given, plan([A], [A])).loosening
    assert (found.unknown, found.paths) == (
        ("policy",),
        ("_defaults.yaml", "a/_defaults.yaml", "ops/reconciler.toml", "pyproject.toml"),
    )
    assert judge(replace(given, before=Side([A])), plan([A], [A])).loosening.paths == ()


def test_with_strict_only_what_the_merge_changes_is_compared_with_the_head() -> None:
    """Other pull requests answer for the rest."""
    asked: list[object] = []

    def find(names: Collection[str]) -> list[str]:
        asked.append(names)
        return ["a"]

    found = judge(replace(trial([A, B], [A2, B]), find_combinations=find), plan([A2, B], [A, B]))
    assert (asked, found.combined, found.is_red) == ([("a",)], ("a",), True)


WHERE = Where("s", 0, (ApiUse("www.plugchat.com.br", 1, sandbox=False),), is_new=True)


@pytest.mark.parametrize(
    ("label", "is_red"),
    [
        (None, True),
        (LabelSetting(Label.LARGE_CHANGE, "bob", counts=False), True),
        (LabelSetting(Label.LARGE_CHANGE, "ana", counts=True), False),
    ],
)
def test_the_label_of_a_writer_lifts_max_changed_alone(label: LabelSetting | None, is_red: bool) -> None:
    """It never lifts a reserved host."""
    hub = FakeHub(labels={} if label is None else {Label.LARGE_CHANGE: label})
    found = judge(trial([A], [A2], NONE), plan([A2], [A]), hub)
    assert (found.is_red, bool(found.lifted)) == (is_red, not is_red)
    assert found.labels == (() if label is None else (label,))
    example = make_desired("a")
    assert judge(trial([A], [example], NONE), plan([example], [A]), hub).is_red


def test_the_label_lifts_the_guard_of_the_whole_apply_run_too() -> None:
    """That run also counts what was merged before and is not applied yet."""
    given = replace(trial([A2, B], [A2, B]), after=Side([A2, B], limit=NONE))
    found = judge(given, plan([A2, B], [A, B]))
    assert (found.is_red, found.later is not None, found.lifted) == (False, True, ())
    label = LabelSetting(Label.LARGE_CHANGE, "ana", counts=True)
    found = judge(given, plan([A2, B], [A, B]), FakeHub(labels={Label.LARGE_CHANGE: label}))
    assert (found.later, len(found.lifted)) == (None, 1)


def test_a_failed_lookup_lifts_nothing_and_is_reported() -> None:
    """GitHub is asked only if a label matters."""
    hub = FakeHub(unreadable=PostFailed("GitHub answered 500", 500))
    found = judge(trial([A], [A2], NONE), plan([A2], [A]), hub)
    assert (found.is_red, found.label_fault) == (True, "GitHub answered 500")
    assert judge(trial([A], [A2], ALL), plan([A2], [A]), hub).label_fault == ""


def test_an_empty_state_is_never_red() -> None:
    """The user who set the label of a first apply is shown."""
    label = LabelSetting(Label.FIRST_APPLY, "ana", counts=True)
    found = judge(trial([], [A]), plan([A], [], WHERE), FakeHub(labels={Label.FIRST_APPLY: label}))
    assert (found.is_red, found.labels) == (False, (label,))
    assert not judge(trial([], [A]), plan([A], [], WHERE)).is_red


@pytest.mark.parametrize("may_lack_state", [True, False])
def test_an_unreadable_state_is_red_unless_the_run_gets_no_credentials(may_lack_state: bool) -> None:
    """The reason is shown in both cases."""

    def fail() -> Planned:
        raise Unreachable("no answer")

    found = review(trial([A], [A2]), FakeHub(), fail, may_lack_state=may_lack_state)
    assert found.is_red is not may_lack_state
    assert found.failed + found.unplanned == "no answer"
    assert found.change.changed == ("a",)


# --- the comment -----------------------------------------------------------------------------------

OPEN = PullRequest(4, HEAD, is_open=True)


@pytest.mark.parametrize(
    ("hub", "merged_head", "outcome"),
    [
        (FakeHub(pull_request=OPEN, present=OPEN), HEAD, Posted(PostEffect.CREATED, "https://github.com/x")),
        (FakeHub(), HEAD, Unposted.MERGE_GROUP),
        (FakeHub(pull_request=OPEN, present=OPEN), BASE, Unposted.MOVED),
        (FakeHub(pull_request=OPEN, present=OPEN), None, Unposted.MOVED),
        (FakeHub(pull_request=OPEN, present=replace(OPEN, head_sha=BASE)), HEAD, Unposted.MOVED),
        (FakeHub(pull_request=OPEN, present=replace(OPEN, is_open=False)), HEAD, Unposted.CLOSED),
        (FakeHub(pull_request=replace(OPEN, is_open=False)), BASE, Unposted.CLOSED),
        (FakeHub(pull_request=OPEN, present=OPEN, done=PostEffect.SUPERSEDED), HEAD, Unposted.SUPERSEDED),
        (
            FakeHub(pull_request=OPEN, present=OPEN, may_only_read=True, refusal=PostFailed("x", 403)),
            HEAD,
            Unposted.READ_ONLY,
        ),
    ],
)
def test_a_run_comments_only_on_the_present_head(
    hub: FakeHub, merged_head: str | None, outcome: Posted | Unposted
) -> None:
    """The pull request must also be open."""
    assert post_review(hub, MARKER, merged_head, "text") == outcome
    assert bool(hub.posted) is (isinstance(outcome, Posted) or outcome is Unposted.SUPERSEDED)


def test_a_pull_request_without_a_number_is_not_posted_to() -> None:
    """There is no address for it."""
    with pytest.raises(PostFailed, match="the pull request has no number"):
        post_review(FakeHub(pull_request=replace(OPEN, number=None)), MARKER, HEAD, "text")
