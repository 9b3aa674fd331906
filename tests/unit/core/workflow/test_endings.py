"""The report of an apply run, which never says more than the state shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.workflow.endings import (
    ABSENT,
    BEGIN_JOB,
    OPEN,
    UNKNOWN,
    EndedRun,
    Ending,
    EndReport,
    RunJob,
    StateView,
    Wish,
    WishFate,
    explain,
    find_fate,
    find_job,
    is_open,
    report_environment,
    report_pull_request,
    report_run,
)
from reconciler.model import Applied, BodyForm, By, Desired, Document, Intent, LastTry, Outcome
from tests.fakes import START, make_desired

OURS, THEIRS = By("ana", "c" * 40, "7/1"), By("bia", "d" * 40, "6/1")
BEGUN = RunJob(BEGIN_JOB, "success")
RUN = EndedRun("7", (BEGUN, RunJob("Step 1 / loja", "failure", "https://github.com/j")), ("loja",))
LOJA = make_desired("loja")
OTHER = make_desired("loja", "2")


def applied(desired: Desired = LOJA, by: By = OURS, at: datetime = START, account: str | None = None) -> Applied:
    return Applied(desired.endpoint, account, desired.webhooks, {}, at, by, body=desired.body)


def intent(by: By = OURS, *, doubt: bool = False, lease_until: datetime | None = None) -> Intent:
    return Intent("i", LOJA.webhooks, doubt, START, lease_until, by)


def document(**values: object) -> Document:
    return replace(Document("loja", "lineage", 3), **values)


def tried(outcome: Outcome, by: By = OURS, at: datetime = START) -> LastTry:
    return LastTry(outcome, 401, "the token is not valid", at, by)


def report_one(found: Document | None, run: EndedRun = RUN, desired: Desired | None = LOJA) -> EndReport:
    return report_environment("loja", run, desired, StateView(START, {"loja": found} if found else {}))


HOUR = timedelta(hours=1)
REJECTED = "rejected (status 401): the token is not valid"
JOB = RUN.jobs[1] if RUN.jobs else None


@pytest.mark.parametrize(
    ("found", "ending", "why"),
    [
        (document(applied=applied()), Ending.APPLIED, ""),
        (document(applied=applied(), last=tried(Outcome.APPLIED)), Ending.APPLIED, ""),
        (document(applied=applied(OTHER), last=tried(Outcome.REJECTED)), Ending.NOT_APPLIED, REJECTED),
        (
            document(applied=applied(by=THEIRS), last=tried(Outcome.REJECTED, at=START + HOUR)),
            Ending.NOT_APPLIED,
            f"{REJECTED}. What was applied at 2026-11-23T12:00:00Z is still what the manifest wants",
        ),
        (
            document(applied=applied(by=THEIRS, at=START + HOUR), last=tried(Outcome.REJECTED)),
            Ending.AS_WANTED,
            "it was not sent again: its job failed before anything was sent for it, or a reviewer rejected it; "
            "its log says why",
        ),
        (
            document(applied=applied(OTHER, by=THEIRS), last=tried(Outcome.APPLIED)),
            Ending.NOT_APPLIED,
            "what this run applied was replaced at 2026-11-23T12:00:00Z",
        ),
        # an earlier attempt applied what its commit wanted, and this attempt did not try it
        (document(applied=applied(OTHER), last=tried(Outcome.APPLIED)), Ending.NOT_TRIED, "its job failed before"),
        (document(applied=applied(), intent=intent(doubt=True)), Ending.IN_DOUBT, "it is unknown whether"),
        (document(applied=applied(), intent=intent(lease_until=START + HOUR)), Ending.IN_DOUBT, "it is unknown"),
        (
            document(applied=applied(), intent=intent(THEIRS, lease_until=START + HOUR)),
            Ending.NOT_APPLIED,
            "another run is at work: bia (run 6/1)",
        ),
        (
            document(intent=intent(doubt=True), last=tried(Outcome.UNCERTAIN)),
            Ending.IN_DOUBT,
            "it is unknown whether the PUT of 2026-11-23T12:00:00Z changed Plug: status 401: the token",
        ),
        (document(last=tried(Outcome.REJECTED, THEIRS)), Ending.NOT_TRIED, "its job failed before"),
        (None, Ending.NOT_TRIED, "its job failed before anything was sent for it, or a reviewer"),
    ],
)
def test_each_environment_has_one_ending(found: Document | None, ending: Ending, why: str) -> None:
    """The state decides it. The last try says why, or the job if there was no try."""
    reported = report_one(found)
    assert (reported.ending, reported.why[: len(why)] if why else reported.why) == (ending, why)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (LastTry(Outcome.REJECTED, 401, "401: Plug does not know the token", START, OURS), "rejected: 401: Plug does"),
        (LastTry(Outcome.REJECTED, 400, "refused", START, OURS), "rejected (status 400): refused"),
        (LastTry(Outcome.FAILED, None, "no address", START, OURS), "failed: no address"),
        (LastTry(Outcome.REJECTED, 400, "", START, OURS), "rejected (status 400)"),
    ],
)
def test_a_status_is_said_once(last: LastTry, said: str) -> None:
    """Most messages of a status begin with it."""
    assert report_one(document(last=last)).why.startswith(said)


def test_a_put_in_doubt_is_not_called_uncertain_twice() -> None:
    last = LastTry(Outcome.UNCERTAIN, None, "no answer within 30 s", START, OURS)
    why = report_one(document(intent=intent(doubt=True), last=last)).why
    assert why == "it is unknown whether the PUT of 2026-11-23T12:00:00Z changed Plug: no answer within 30 s"


@pytest.mark.parametrize("left_s", [0, 1])
def test_a_lease_that_this_run_left_is_reported_as_a_lock(left_s: int) -> None:
    """An apply that is started now would end with it."""
    reported = report_one(document(applied=applied(), intent=intent(lease_until=START + timedelta(seconds=left_s))))
    assert reported.locked == bool(left_s)
    assert reported.why.endswith("; locked until 2026-11-23T12:00:01Z") == bool(left_s)


def test_an_earlier_record_names_who_applied_it() -> None:
    """An adopted one names who adopted it."""
    reported = report_one(
        document(applied=applied(by=THEIRS)), replace(RUN, jobs=(BEGUN, RunJob("Step 1 / loja", "success")))
    )
    assert reported == EndReport("loja", Ending.AS_WANTED, by=THEIRS, at=START)
    assert report_one(document(applied=replace(applied(by=THEIRS), adopted=True))).adopted


def test_a_record_of_another_company_than_the_pinned_one_is_not_as_wanted() -> None:
    """The webhooks are right, but in the wrong account."""
    pinned = replace(LOJA, organization_id="acme")
    assert report_one(document(applied=applied(account="org:acme")), desired=pinned).ending is Ending.APPLIED
    assert report_one(document(applied=applied(account="org:other")), desired=pinned).ending is Ending.NOT_TRIED


def test_a_job_that_succeeded_is_not_said_to_have_sent_nothing() -> None:
    """The state may have been lost, forgotten, or replaced since: then it is unknown what the job did."""
    succeeded = RunJob("Step 1 / loja", "success", "https://github.com/j")
    run = replace(RUN, jobs=(BEGUN, succeeded))
    for found in (None, document(applied=applied(OTHER, by=THEIRS))):
        why = "its job succeeded, but the state does not show that it was applied; its log says what the job did"
        assert report_one(found, run) == EndReport("loja", Ending.UNKNOWN, why, job=succeeded)
    for unplanned in (replace(run, refused="max_changed"), replace(run, planned=("matriz",))):
        assert report_one(None, unplanned).ending is Ending.NOT_TRIED


def test_an_environment_that_can_not_be_read_is_unknown() -> None:
    """Either its document or its manifest can't be read."""
    assert report_one(document(applied=applied()), desired=None).ending is Ending.UNKNOWN
    reported = report_environment("loja", RUN, LOJA, StateView(START, {}, {"loja": "is not valid JSON"}))
    assert (reported.ending, reported.why) == (Ending.UNKNOWN, "its state can't be read: is not valid JSON")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (replace(RUN, refused="max_changed"), "the first job ended the whole run, so no job of an environment began"),
        (replace(RUN, jobs=None), "the run's jobs can't be read: see the run"),
        (
            replace(RUN, jobs=(RunJob(BEGIN_JOB, "failure"),)),
            "the first job did not succeed, so no job of an environment began",
        ),
        (replace(RUN, planned=()), "this run did not plan it: see which environments it was started for"),
        (replace(RUN, jobs=(BEGUN, RunJob("Step 1 / loja", "cancelled"))), "its job was cancelled"),
        (replace(RUN, jobs=(BEGUN, RunJob("Step 1 / loja", None))), "its job has not ended"),
        (replace(RUN, jobs=(BEGUN, RunJob("Step 1 / loja", "odd"))), "its job ended as odd"),
        (
            replace(RUN, jobs=(BEGUN, RunJob("Step 1 / matriz", "failure"), RunJob("Step 2", "skipped"))),
            "its job did not begin, as Step 1 / matriz did not succeed",
        ),
        (replace(RUN, jobs=(BEGUN, RunJob("Result", None))), "its job did not begin: see the run"),
    ],
)
def test_the_jobs_say_why_nothing_was_tried(run: EndedRun, why: str) -> None:
    """If they do not, the reader is sent to the run."""
    assert explain("loja", run) == why


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Step 1 / Fleet"], "Step 1 / Fleet"),
        (["Step 1 / loja", "Step 1 / Fleet"], "Step 1 / loja"),
        (["Step 1 / Wave-0-shard-1-of-2", "Step 1 / Wave-0-shard-2-of-2"], "Step 1 / Wave-0-shard-2-of-2"),
        (["Step 1 / Wave-0-shard-1-of-2", "Step 1 / Wave-0-shard-9-of-2", "Step 0 / loja", "Begin", "loja"], None),
    ],
)
def test_an_environment_is_in_its_own_job_or_the_fleets_or_its_shards(names: list[str], found: str | None) -> None:
    """The environment `loja` is in shard 2 of 2."""
    job = find_job("loja", replace(RUN, jobs=tuple(RunJob(name, "success") for name in names)))
    assert (job.name if job else None) == found


def test_a_refused_attempt_is_explained_by_the_refusal_before_an_earlier_try() -> None:
    """The first job of the second attempt refused; the first attempt's PUT was rejected."""
    run = replace(RUN, jobs=(RunJob("Begin", "failure"),), planned=None, refused="max_changed")
    reported = report_one(document(last=tried(Outcome.REJECTED)), run)
    assert (reported.ending, reported.why) == (
        Ending.NOT_APPLIED,
        f"the first job ended the whole run, so no job of an environment began. In an earlier attempt: {REJECTED}",
    )


def test_an_earlier_try_is_reported_if_the_jobs_can_not_be_read() -> None:
    """A try without an answer has no status, and it may have no message."""
    run = replace(RUN, jobs=None)
    failed = LastTry(Outcome.FAILED, None, "", START, OURS)
    assert report_one(document(last=failed), run).why == "failed"
    assert report_one(document(last=tried(Outcome.REJECTED)), run).why == REJECTED


def test_a_run_is_open_while_any_of_its_environments_is() -> None:
    """The others may be applied."""
    applied_one, waiting = EndReport("a", Ending.APPLIED), EndReport("b", Ending.NOT_TRIED)
    assert is_open([applied_one, waiting])
    assert not is_open([applied_one])


@pytest.mark.parametrize("name", ["fleet", "wave-0-shard-2-of-2"])
def test_an_environment_named_like_a_job_for_several_is_not_confused_with_it(name: str) -> None:
    """Its job failed; the job of `loja` was skipped with its step."""
    run = replace(RUN, jobs=(BEGUN, RunJob(f"Step 1 / {name}", "failure")), planned=(name, "loja"))
    assert find_job("loja", run) is None
    assert explain("loja", run) == f"its job did not begin, as Step 1 / {name} did not succeed"


def test_the_failed_job_of_several_for_one_shard_is_named() -> None:
    """Each wave has its own job for the shard."""
    jobs = (RunJob("Step 1 / Wave-0-shard-2-of-2", "success"), RunJob("Step 2 / Wave-1-shard-2-of-2", "failure"))
    assert find_job("loja", replace(RUN, jobs=jobs)) == jobs[1]


def test_without_a_known_plan_every_environment_touched_or_not_as_wanted_is_reported() -> None:
    """A plan of ten thousand names is too long for the variable of the last job."""
    names = ("applied", "before", "failed", "new", "wanted")
    desired = {name: make_desired(name) for name in names}
    documents = {
        "applied": document(environment="applied", applied=applied(desired["applied"])),
        "before": document(environment="before", applied=applied(desired["before"], THEIRS)),
        "failed": document(environment="failed", last=tried(Outcome.FAILED)),
        "wanted": document(environment="wanted", applied=applied(make_desired("wanted", "0"), THEIRS)),
    }
    reported = report_run(replace(RUN, planned=None), desired, StateView(START, documents))
    assert [one.environment for one in reported] == ["failed", "new", "wanted", "applied"]


@pytest.mark.parametrize(
    ("then", "now", "fate"),
    [
        ("x", "x", WishFate.WANTED),
        ("x", "y", WishFate.CHANGED),
        (ABSENT, "y", WishFate.CHANGED),
        ("x", ABSENT, WishFate.REMOVED),
        (ABSENT, ABSENT, WishFate.REMOVED),
        (UNKNOWN, ABSENT, WishFate.REMOVED),
        ("x", UNKNOWN, WishFate.WANTED),
        (UNKNOWN, "x", WishFate.WANTED),
    ],
)
def test_the_fate_of_a_wish(then: str, now: str, fate: WishFate) -> None:
    """A wish that can't be compared counts as still wanted."""
    assert find_fate(then, now) is fate


def test_the_report_of_a_pull_request_is_about_its_own_wish() -> None:
    """It is not about later changes of other pull requests."""
    wishes = [Wish("gone", WishFate.REMOVED, "c"), Wish("changed", WishFate.CHANGED, "d"), Wish("loja")]
    state = StateView(START, {"loja": document(applied=applied())})
    reported = report_pull_request(wishes, RUN, {"loja": LOJA, "changed": make_desired("changed")}, state)
    assert [(one.environment, one.ending, one.commit) for one in reported] == [
        ("loja", Ending.APPLIED, None),
        ("changed", Ending.SUPERSEDED, "d"),
        ("gone", Ending.REMOVED, "c"),
    ]
    assert not is_open(reported)


# --- the rule ----------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
VERSIONS = st.sampled_from(["1", "2"])
BYS = st.sampled_from([OURS, THEIRS, By(), By(run="7"), By(run="77/1")])
TIMES = st.integers(-3, 3).map(lambda hours: START + hours * HOUR)
INTENTS = st.builds(
    Intent,
    st.just("i"),
    st.just(LOJA.webhooks),
    st.booleans(),
    TIMES,
    st.none() | TIMES,
    BYS,
)
LASTS = st.builds(LastTry, st.sampled_from(list(Outcome)), st.none() | st.just(401), st.just("m"), TIMES, BYS)


@st.composite
def documents_of(draw: Callable[[st.SearchStrategy[object]], object], name: str) -> Document:
    one = make_desired(name, str(draw(VERSIONS)))
    found = draw(st.none() | BYS)
    body = draw(st.sampled_from(list(BodyForm)))
    recorded = None
    if isinstance(found, By):
        recorded = replace(applied(one, found, draw(TIMES)), body=body)  # type: ignore[arg-type]
    return Document(name, "l", 1, recorded, draw(st.none() | INTENTS), (), draw(st.none() | LASTS))  # type: ignore[arg-type]


JOBS = st.lists(
    st.builds(
        RunJob,
        st.sampled_from([BEGIN_JOB, "Result", "Step 1 / a", "Step 1 / Fleet", "Step 2 / Wave-1-shard-1-of-2"]),
        st.sampled_from([None, "success", "failure", "cancelled", "skipped", "neutral"]),
    ),
    max_size=5,
).map(tuple)


@given(
    found=st.fixed_dictionaries({}, optional={name: documents_of(name) for name in NAMES}),
    desired=st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VERSIONS)),
    planned=st.none() | st.lists(st.sampled_from(NAMES)).map(tuple),
    jobs=st.none() | JOBS,
    refused=st.sampled_from(["", "max_changed"]),
    faulty=st.sets(st.sampled_from(NAMES)),
)
def test_an_environment_is_called_applied_only_if_the_state_says_so(
    found: dict[str, Document],
    desired: dict[str, str],
    planned: tuple[str, ...] | None,
    jobs: tuple[RunJob, ...] | None,
    refused: str,
    faulty: set[str],
) -> None:
    """The jobs do not matter. Each planned environment is reported once, and doubt is never called done."""
    wanted = {name: make_desired(name, version) for name, version in desired.items()}
    state = StateView(START, found, dict.fromkeys(faulty, "x"))
    reported = report_run(EndedRun("7", jobs, planned, refused), wanted, state)
    assert len({one.environment for one in reported}) == len(reported)
    if planned is not None:
        assert {one.environment for one in reported} == set(planned)
    for one in reported:
        stored = found.get(one.environment)
        if one.ending not in OPEN:
            assert one.ending in (Ending.APPLIED, Ending.AS_WANTED)
            assert stored is not None and stored.applied is not None and stored.intent is None
            wish = wanted[one.environment]
            record = stored.applied
            assert (record.webhooks, record.endpoint, record.body) == (wish.webhooks, wish.endpoint, wish.body)
            assert one.environment not in faulty
            ours = record.by.run is not None and record.by.run.split("/")[0] == "7"
            assert ours == (one.ending is Ending.APPLIED)
        else:
            assert one.why
        if stored is not None and stored.intent is not None and stored.intent.is_in_doubt(START):
            assert one.ending in (Ending.IN_DOUBT, Ending.UNKNOWN)
