"""The rules of docs/github.md hold for any order of merges, queued, cancelled and repeated runs, and other applies.

A state machine plays users and GitHub; see `github_model.py`. It checks the rules at every PUT and every comment, and
again when the queue is empty.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler.core.guards import MaxChanged
from reconciler.core.workflow.endings import Ending
from reconciler.core.workflow.inputs import RunInputs
from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.markers import MarkState
from reconciler.core.workflow.schedule import Begin
from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.model import Desired
from tests.conftest import examples
from tests.fakes import answer, no_answer, unsent
from tests.properties.github_model import DEFAULTS, LIMIT, WAVES, GitHub, Run, Tree, find_wants, make_fleet

NAMES = sorted(WAVES)
BEHAVIOURS = {
    "healthy": None,
    "lost answer": no_answer(acts=True),
    "lost request": no_answer(acts=False),
    "unsent": unsent,
    "refused": answer(401),
}
DONE = (Ending.APPLIED, Ending.AS_WANTED, Ending.SUPERSEDED, Ending.REMOVED)
VERSIONS = st.integers(0, 3)
CHANCE, RARE = st.integers(0, 4), 3  # These events are rare, because they would hide all others.
EDITS = st.dictionaries(st.sampled_from([DEFAULTS, *NAMES]), VERSIONS, min_size=1, max_size=2)


class Protocol(RuleBasedStateMachine):
    strict = True
    layout = JobLayout()

    @initialize()
    def begin_repository(self) -> None:
        """Begin with a first commit that was reviewed, merged and applied."""
        self.github = GitHub(self.strict, self.layout)
        self.checked = 0  # PUTs
        self.allowed: set[int] = set()  # The runs that may pass max_changed, by the identity of their attempt.
        self.vouched: set[tuple[str, str]] = set()  # What was sent by hand without a review.
        # Of so many environments, a change of the defaults alone doesn't trip max_changed.
        tree: Tree = {DEFAULTS: 1, "a": 0, "b": 0, "c": 1, "d": 2}
        self.github.push({DEFAULTS: 0}, starts=False)
        self.github.merge(self.github.head, tree, starts=False)
        self.github.apply_from_laptop()
        self.checked = len(self.github.put)
        self.seen: dict[int, str] = {}

    # --- users -------------------------------------------------------------------------------------

    @rule(
        edits=EDITS,
        back=st.integers(0, 2),
        rebased=st.booleans(),
        starts=st.booleans(),
        gone=st.sampled_from(["", *NAMES]),
    )
    def merge_pull(self, edits: Tree, back: int, rebased: bool, starts: bool, gone: str) -> None:
        """Merge a pull request that was branched off a recent commit; a merge by GITHUB_TOKEN starts no run."""
        line = self.github.line
        base = line[max(1, len(line) - 1 - back)]
        theirs = {name: value for name, value in {**base.tree, **edits}.items() if name != gone or name == DEFAULTS}
        self.github.merge(base, theirs, rebased=rebased, starts=starts)

    @rule(edits=EDITS, starts=st.booleans(), chance=CHANCE)
    def push(self, edits: Tree, starts: bool, chance: int) -> None:
        tree = {**self.github.head.tree, **edits}
        if tree != self.github.head.tree and chance == RARE:
            self.github.push(tree, starts=starts)

    @rule(label=st.sampled_from(Label), counts=st.booleans(), back=st.integers(0, 2))
    def set_label(self, label: Label, counts: bool, back: int) -> None:
        pulls = list(self.github.pulls.values())
        pull = pulls[max(0, len(pulls) - 1 - back)]
        pull.labels[label] = LabelSetting(label, "rui", counts)

    @rule(label=st.sampled_from(Label), back=st.integers(0, 2))
    def take_label_off(self, label: Label, back: int) -> None:
        pulls = list(self.github.pulls.values())
        pulls[max(0, len(pulls) - 1 - back)].labels.pop(label, None)

    @rule(name=st.sampled_from(NAMES), version=st.integers(0, 1), chance=CHANCE)
    def change_token(self, name: str, version: int, chance: int) -> None:
        """Set the secret to a token of another company, or back."""
        if chance == RARE:
            self.github.credentials.accounts[name] = f"org:{name}-{version}"

    @rule(data=st.data())
    def run_by_hand(self, data: Any) -> None:
        kind = data.draw(st.sampled_from(["plain", "reassert", "narrow", "large", "expect", "accept"]))
        inputs = {
            "plain": RunInputs(),
            "reassert": RunInputs(reassert=True),
            "narrow": RunInputs(environments=(data.draw(st.sampled_from(NAMES)),)),
            "large": RunInputs(max_changed=_all()),
            "expect": RunInputs(expect=self._fleet_digest()),
            "accept": RunInputs(accepted=(data.draw(st.sampled_from(NAMES)),)),
        }[kind]
        self.github.request(inputs, whole=kind == "plain")

    def _fleet_digest(self) -> str:
        return self.github.plan().plan.fleet_digest

    @rule(chance=CHANCE)
    def apply_from_laptop(self, chance: int) -> None:
        if chance == RARE:
            self.github.apply_from_laptop()

    @rule()
    def watch(self) -> None:
        under_way = self.github.running is not None or bool(self.github.queued)
        begun = self.github.watch()
        assert begun is Begin.NOTHING or not under_way, "a run is under way already"

    # --- runs --------------------------------------------------------------------------------------

    @precondition(lambda self: self.github.running is None and self.github.queued)
    @rule()
    def begin_run(self) -> None:
        run = self.github.queued[0]
        was_begun = run.again
        too_many = self._count_updates() > LIMIT.amount
        self.github.clock.advance(60)
        self.github.begin(run)
        if was_begun:
            return
        if too_many and not self._is_lifted(run):
            assert run.problems, "max_changed was passed although nothing lifts it"

    def _count_updates(self) -> int:
        documents = self.github.documents()
        return sum(
            (document := documents.get(name)) is not None
            and document.applied is not None
            and document.applied.webhooks != desired.webhooks
            for name, desired in make_fleet(self.github.head.tree).items()
        )

    def _is_lifted(self, run: Run) -> bool:
        """Return whether a label on this commit's pull request lifts the guard, or the input of the first attempt."""
        number = self.github.head.pull
        setting = self.github.pulls[number].labels.get(Label.LARGE_CHANGE) if number is not None else None
        if setting is not None and setting.counts:
            return True
        if run.inputs.max_changed is None:
            return False
        first = self.seen.setdefault(run.number, self.github.head.sha)
        return first == self.github.head.sha

    @precondition(lambda self: self.github.running is not None or self.github.queued)
    @rule()
    def play_run(self) -> None:
        """Play one run, or the rest of it, to its end."""
        self._play(self.github.running or self.github.queued[0])

    @precondition(lambda self: self.github.running is not None and self.github.running.pending)
    @rule(data=st.data(), behaviour=st.sampled_from(sorted(BEHAVIOURS)))
    def do_job(self, data: Any, behaviour: str) -> None:
        run = self.github.running
        assert run is not None
        job = data.draw(st.sampled_from(run.pending))
        self.github.clock.advance(60)
        self.github.do(run, job, BEHAVIOURS[behaviour])

    @precondition(lambda self: self.github.running is not None and self.github.running.pending)
    @rule(data=st.data(), how=st.sampled_from(["failure", "cancelled"]))
    def lose_job(self, data: Any, how: str) -> None:
        """Have a reviewer reject a job, or cancel it before it starts."""
        run = self.github.running
        assert run is not None
        run.done[data.draw(st.sampled_from(run.pending)).name] = how

    @precondition(lambda self: self.github.running is not None)
    @rule(fails=st.booleans())
    def end_run(self, fails: bool) -> None:
        """End a run: jobs that have not run were cancelled with it; comments may fail."""
        run = self.github.running
        assert run is not None
        for job in [job for jobs in run.steps for job in jobs if job.name not in run.done]:
            run.done[job.name] = "cancelled"
        self.github.comments_fail = fails
        before = dict(self.github.comments)
        self.github.end(run)
        for number, written in self.github.comments.items():
            if before.get(number) is not written:
                self._check_comment(number, run)

    @precondition(lambda self: self.github.queued)
    @rule(data=st.data())
    def supersede(self, data: Any) -> None:
        """Cancel a waiting run, as a newer run or a user does."""
        run = data.draw(st.sampled_from(self.github.queued))
        run.status, run.conclusion = "completed", "cancelled"

    @precondition(lambda self: any(run.status == "completed" for run in self.github.runs))
    @rule(data=st.data(), only_failed=st.booleans())
    def run_again(self, data: Any, only_failed: bool) -> None:
        ended = [run for run in self.github.runs if run.status == "completed"]
        self.github.request_again(data.draw(st.sampled_from(ended)), only_failed=only_failed)

    @rule(seconds=st.sampled_from([3_600, 86_400]))
    def wait(self, seconds: int) -> None:
        self.github.clock.advance(seconds)

    # --- rules -------------------------------------------------------------------------------------

    @invariant()
    def every_put_is_allowed(self) -> None:
        if not hasattr(self, "github"):
            return
        for run, desired in self.github.put[self.checked :]:
            if run is None:
                self.vouched.add(_key(desired))
                continue
            assert not run.problems, "a run that its first job refused has sent something"
            if run.inputs.expect is not None:
                self.vouched.add(_key(desired))
            if self.strict:
                assert self._is_reviewed(desired), f"{desired.environment} was not reviewed"
            self._check_newer(run, desired)
        self.checked = len(self.github.put)
        for run, name in self.github.moved:
            assert run is None or name in run.inputs.accepted, f"{name} went to another company"

    def _is_reviewed(self, desired: Desired) -> bool:
        heads = (make_fleet(pull.head).get(desired.environment) for pull in self.github.pulls.values())
        return _key(desired) in self.vouched or any(
            one is not None and one.webhooks == desired.webhooks for one in heads
        )

    def _check_newer(self, run: Run, desired: Desired) -> None:
        """Rule 5: after a newer run has begun, an old one sends only what the head also defines."""
        newer = [one for one in self.github.runs if one.number > run.number and one.commit is not None]
        if newer:
            wanted = make_fleet(self.github.head.tree).get(desired.environment)
            assert wanted is not None and wanted.webhooks == desired.webhooks, "an old run sends what the head lacks"

    def _check_comment(self, number: int, run: Run) -> None:
        """Rule 3: a comment is true when it is written."""
        marker, comment = self.github.comments[number]
        pull = self.github.pulls[number]
        assert {one.environment for one in comment.reports} == pull.changed
        assert run.commit is not None
        now, then = find_wants(self.github.find(run.commit).tree), find_wants(self.github.find(pull.merge_sha).tree)
        fleet, documents = make_fleet(self.github.find(run.commit).tree), self.github.documents()
        for one in comment.reports:
            desired, document = fleet.get(one.environment), documents.get(one.environment)
            match one.ending:
                case Ending.APPLIED | Ending.AS_WANTED:
                    assert desired is not None and document is not None and document.applied is not None
                    assert self.github.plug.holds[one.environment] == desired.webhooks
                    ours = (document.applied.by.run or "").partition("/")[0] == str(run.number)
                    assert ours is (one.ending is Ending.APPLIED)
                case Ending.IN_DOUBT:
                    assert document is not None and document.intent is not None
                case Ending.SUPERSEDED:
                    assert now.get(one.environment) != then.get(one.environment)
                case Ending.REMOVED:
                    assert one.environment not in now
                case Ending.UNKNOWN:
                    assert one.job is not None and one.job.conclusion == "success"
                    assert document is None or document.intent is None
                case Ending.NOT_APPLIED | Ending.NOT_TRIED:
                    if "replaced" in one.why:
                        assert document is not None and document.applied is not None
                        assert (document.applied.by.run or "").partition("/")[0] != str(run.number)
                    assert now.get(one.environment) == then.get(one.environment)
                case _:
                    raise AssertionError(one)
        is_done = all(one.ending in DONE for one in comment.reports)
        assert (marker.state is MarkState.DONE) is is_done

    def teardown(self) -> None:
        """Rules 3 and 4: when the queue is empty, all is applied or refused, and every pull request has its result."""
        if not hasattr(self, "github"):
            return
        self.drain()
        for _ in range(3):
            self.github.clock.advance(3_600)
            self.github.watch()
            self.drain()
        here = tuple(name for name in self.github.head.tree if name != DEFAULTS)
        self.github.request(RunInputs(accepted=here), whole=False)
        self.drain()
        self._check_applied()
        self._check_results()

    def drain(self) -> None:
        self.github.comments_fail = False
        while (run := self.github.running or next(iter(self.github.queued), None)) is not None:
            self._play(run)

    def _play(self, run: Run) -> None:
        if run.status == "queued":
            self.begin_run()
        while run.pending:
            self.github.do(run, run.pending[0])
        self.end_run(fails=False)
        self.every_put_is_allowed()

    def _check_applied(self) -> None:
        last = self.github.runs[-1]
        documents = self.github.documents()
        for name, desired in make_fleet(self.github.head.tree).items():
            document = documents.get(name)
            applied = document.applied if document is not None and document.intent is None else None
            assert last.problems or (applied is not None and applied.webhooks == desired.webhooks), name

    def _check_results(self) -> None:
        last = self.github.runs[-1]
        for pull in self.github.pulls.values():
            if pull.changed and (self.github.clock.now() - pull.merged_at).days < 14:
                assert pull.number in self.github.comments, "a merged pull request has no result"
                marker, _ = self.github.comments[pull.number]
                assert marker.state is MarkState.DONE or last.problems


@pytest.mark.parametrize("layout", [JobLayout(), JobLayout(TokensFrom.SECRET), JobLayout(TokensFrom.SECRET, 2)])
def test_the_runs_of_the_model_send(layout: JobLayout) -> None:
    """Otherwise every rule would hold."""
    played = Protocol()
    played.layout = layout
    played.begin_repository()
    played.merge_pull({"a": 1, "c": 3}, 0, rebased=False, starts=True, gone="")
    played.drain()
    assert sorted(desired.environment for run, desired in played.github.put if run is not None) == ["a", "c"]
    played.teardown()


def _all() -> MaxChanged:
    return MaxChanged(100, percent=True)


def _key(desired: Desired) -> tuple[str, str]:
    return desired.environment, "".join(desired.webhooks.values())


class ProtocolWithoutStrict(Protocol):
    strict = False


class ProtocolWithOneSecret(Protocol):
    """One job has the secrets of the whole fleet."""

    layout = JobLayout(TokensFrom.SECRET)


class ProtocolWithShards(Protocol):
    layout = JobLayout(TokensFrom.SECRET, 2)


TestStrict = Protocol.TestCase
TestStrict.settings = settings(max_examples=examples(45), stateful_step_count=30)
TestWithoutStrict = ProtocolWithoutStrict.TestCase
TestWithoutStrict.settings = settings(max_examples=examples(20), stateful_step_count=30)
TestWithOneSecret = ProtocolWithOneSecret.TestCase
TestWithOneSecret.settings = settings(max_examples=examples(15), stateful_step_count=30)
TestWithShards = ProtocolWithShards.TestCase
TestWithShards.settings = settings(max_examples=examples(15), stateful_step_count=30)
