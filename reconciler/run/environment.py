"""The steps of one environment in an apply: intent, PUT, outcome. Every decision is taken in `core/`.

See docs/contract.md#apply.

claim      Write the intent, durable before anything is sent. Plan again if the state has changed since the plan.
           Compare the token with the accounts of all other environments, before the intent and again after it. Put in
           doubt the environments whose webhooks an accepted account change overwrites.
put        Make attempts, one after another, as core.attempts decides, each in a slot of the rate limit (sending.py).
settle     Write the outcome, or doubt if our intent is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from reconciler.core import record
from reconciler.core.attempts import Attempt, Fate
from reconciler.core.observe import Observation
from reconciler.core.outcome import classify
from reconciler.core.planner import PlanInput, plan_environment
from reconciler.errors import Conflict, StateError
from reconciler.model import (
    Action,
    Desired,
    Document,
    EnvironmentPlan,
    EnvironmentResult,
    LastTry,
    Outcome,
    Reason,
    Remedy,
    Stored,
)
from reconciler.ports import WriteResult
from reconciler.run.context import RunContext
from reconciler.run.holders import doubt_holders
from reconciler.run.observe import ObserveOptions, observe_one
from reconciler.run.reader import StateReader
from reconciler.run.sending import Sending
from reconciler.text.instants import instant
from reconciler.text.lock import describe_lock

logger = logging.getLogger(__name__)

CLAIM_TRIES = 5  # after this many lost races in a row, the environment is left to the other runs
SETTLE_TRIES = 5
_LEASE_OVER = (
    "its lease had ended, or began in the future, when it could be sent: this machine slept, its clock was set, or the "
    "state is very slow. Run apply again"
)
_TAKEN_AWAY = (
    "while the PUT was in flight, another run, unlock or forget removed the intent, or the state was restored or "
    "deleted: in doubt"
)


class EnvironmentRun:
    """The steps of one environment: `claim`, then `put`, then `settle`."""

    def __init__(self, run: RunContext, planned: EnvironmentPlan, desired: Desired) -> None:
        self._run = run
        self._planned = planned  # replaced if the environment is planned again
        self._desired = desired
        self._stored: Stored | None = None  # the document before our intent
        self._sending = Sending(run, desired)
        self._refusal = ""  # why nothing may be sent, such as another environment that holds the token's account
        self._fingerprint = run.world.credentials.fingerprint(desired)

    def _classify(self, ours: Stored) -> Outcome:
        if self._sending.not_begun:
            return Outcome.SKIPPED
        intent = ours.document.intent
        return classify(self._sending.attempts, doubt=intent is not None and intent.doubt)

    def _result(self, outcome: Outcome, message: str = "") -> EnvironmentResult:
        return make_result(self._planned, outcome, attempts=self._sending.attempts, message=message)

    def _note_trouble(self, *, halt: bool) -> None:
        """Note that the run had trouble with the state. With `halt` no further environment is begun."""
        self._run.state_trouble = True
        if halt:
            self._run.halt(f"the state of {self._planned.environment} could not be written")

    # --- the intent --------------------------------------------------------------------------------

    async def claim(self, reader: StateReader) -> Stored | EnvironmentResult:
        """Return the document with our durable intent, or the result of an environment that is not claimed."""
        await self._run.pace.wait_until_near(self._sending.sleep)
        try:
            self._stored = await reader.take(self._planned.environment)
            if self._run.stop_reason:
                return self._result(Outcome.SKIPPED, f"not begun: {self._run.stop_reason}")
            claimed = await self._claim()
        except StateError as error:
            claimed = self._make_unclaimed(error)
        if isinstance(claimed, EnvironmentResult):
            self._run.count(claimed.outcome)
        else:
            await self._compare_again()
        return claimed

    async def _claim(self) -> Stored | EnvironmentResult:
        """Claim, again after each lost race. Raises StateError if the state can't be read or written."""
        for _ in range(CLAIM_TRIES):
            result = self._find_lock() or self._find_refusal() or await self._plan_again() or self._find_holder()
            if result is not None:
                return result
            try:
                return await self._write_intent()
            except Conflict:
                logger.info("%s: another run wrote its state meanwhile: read it again", self._planned.environment)
                self._stored = await self._read()
        raise Conflict(self._planned.environment, f"lost {CLAIM_TRIES} races for it in a row")

    async def _write_intent(self) -> Stored | EnvironmentResult:
        world = self._run.world
        claim = record.Claim(
            intent_id=world.new_id(),
            lineage=world.new_id(),
            now=self._run.now(),
            lease_s=self._run.options.lease_s,
            by=world.by,
            account=self._fingerprint.account,
        )
        document = record.begin_intent(self._stored.document if self._stored else None, self._desired, claim)
        for following in record.find_following(document, self._desired, self._fingerprint):
            fault = world.find_write_fault(following)
            if fault is not None:
                raise StateError(fault)
        self._sending.begin_lease()
        written = await self._run.write(self._planned.environment, document, self._stored)
        if written.error is not None:
            return await self._withdraw_intent(document, written)
        assert written.version is not None, "a document was written"
        self._run.new_documents += self._stored is None
        logger.info("%s: intent written, serial %d", self._planned.environment, document.serial)
        return Stored(document, written.version)

    async def _withdraw_intent(self, document: Document, written: WriteResult) -> EnvironmentResult:
        """Return the result of an intent whose write failed, and remove the intent if it is in the state nevertheless.

        Its lease would lock the environment for every run, and no run would own it. Raises Conflict.
        """
        fault = written.error
        assert fault is not None, "the write failed"
        if isinstance(fault, Conflict):
            raise fault
        kept, ours = written.landed is None, Stored(document, written.version or "")
        if written.landed:
            withdrawn = self._make_settled(ours, Outcome.SKIPPED)
            again = await self._run.write(self._planned.environment, withdrawn, ours)
            kept = again.error is not None and not again.landed and not isinstance(again.error, Conflict)
        if not kept:
            await self._look_for_doubt(written)
            return self._make_unclaimed(fault)
        self._note_trouble(halt=True)
        where = "could not be removed again" if written.landed else "may be in the state"
        message = f"not sent: the intent could not be written: {fault}. It {where}. {self._advise_unlock(ours)}"
        return replace(self._make_unsent(message), remedy=Remedy.UNLOCK)

    async def _look_for_doubt(self, written: WriteResult) -> None:
        """If no document was read before, read the one that is there instead of our intent: it may be in doubt."""
        if self._stored is None and written.landed is False:
            with suppress(StateError):
                self._stored = await self._read()

    def _make_unclaimed(self, fault: StateError) -> EnvironmentResult:
        """Return the result without an intent, and so without a PUT."""
        self._note_trouble(halt=not isinstance(fault, Conflict))
        return self._make_unsent(f"not sent: the intent could not be written: {fault}")

    def _make_unsent(self, message: str) -> EnvironmentResult:
        """Return the result if nothing was sent: `failed`, or `uncertain` if the state was in doubt before."""
        if self._stored is None:
            in_doubt = Reason.UNCERTAIN in self._planned.reasons
        else:
            in_doubt = self._stored.document.intent is not None
        return self._result(classify((), doubt=in_doubt), message)

    def _find_lock(self) -> EnvironmentResult | None:
        intent = self._stored.document.intent if self._stored else None
        if intent is None or not intent.is_live(self._run.world.clock.now()):
            return None
        return self._result(Outcome.LOCKED, describe_lock(intent, self._run.world.clock.now()))

    def _find_refusal(self) -> EnvironmentResult | None:
        """Return the result of an environment whose receivers fail (--check-first): no intent, no PUT."""
        why = self._run.refused.get(self._planned.environment)
        return None if why is None else self._make_unsent(why)

    def _find_holder(self) -> EnvironmentResult | None:
        """Return the result if another environment holds the token's account (docs/contract.md#guards): no PUT."""
        why = self._run.accounts.find_refusal(self._planned.environment, self._fingerprint.account)
        return None if why is None else self._make_unsent(f"not sent: {why}")

    async def _compare_again(self) -> None:
        """Compare the token again, with what others wrote before our intent, which is durable now."""
        accounts = self._run.accounts
        try:
            await accounts.refresh()
        except StateError as fault:
            self._note_trouble(halt=True)
            self._refusal = f"what other runs wrote could not be read: {fault}"
        else:
            account = self._fingerprint.account
            self._refusal = accounts.find_refusal(self._planned.environment, account) or await self._doubt_holders()

    async def _doubt_holders(self) -> str:
        """Put environments in doubt whose webhooks our PUT overwrites.

        Returns why nothing may be sent; empty if it may.
        """
        try:
            return await doubt_holders(self._run, self._desired, self._fingerprint.account)
        except StateError as fault:
            self._note_trouble(halt=not isinstance(fault, Conflict))
            return f"the environment whose webhooks it would overwrite could not be put in doubt: {fault}"

    async def _plan_again(self) -> EnvironmentResult | None:
        """Plan again if the state has moved on since the plan. Returns None if there is something to do.

        See docs/contract.md#lost-intents.
        """
        run, document = self._run, self._stored.document if self._stored else None
        stored = (document.lineage, document.serial) if document else (None, 0)
        planned_on = self._planned.lineage, self._planned.serial
        if planned_on in (stored, run.doubted.get(stored)):
            return None  # doubt that this run wrote needs no new plan, as the intent inherits it
        # without `requested`, because another run has sent the desired webhooks, as --reassert asks for
        given = PlanInput(now=run.world.clock.now(), max_age_s=run.options.max_age_s)
        observation = await self._observe_again(document)
        planned = plan_environment(self._desired, document, self._fingerprint, given, observation)
        if planned.action is Action.NOOP:
            return self._result(Outcome.UNCHANGED, "another run applied it in between")
        other_account = (
            Reason.ACCOUNT_CHANGED in planned.reasons and Reason.ACCOUNT_CHANGED not in self._planned.reasons
        )
        if run.options.exact or other_account:
            self._note_trouble(halt=False)
            return self._result(
                Outcome.FAILED, "not sent: another run wrote its state after the plan was made. Plan again"
            )
        logger.info("%s: planned again on the state as it is now: %s", planned.environment, planned.action)
        self._planned = planned
        return None

    async def _observe_again(self, document: Document | None) -> Observation | None:
        """Read the account again: the other run may have caused what was observed at first, or fixed it.

        If the read fails, the first observation is used. At worst that costs one unnecessary PUT.
        """
        run = self._run
        if run.world.observer is None or self._desired.account_id is None:
            return None
        options = ObserveOptions(
            concurrency=1,
            attempts=run.options.attempts,
            deadline_s=run.options.deadline_s,
        )
        observation = await observe_one(
            self._desired,
            document,
            run.world.observer,
            run.world.clock,
            options,
            run.pace,
            sleep=self._sending.sleep,
            stopped=lambda: bool(run.stop),
        )
        if observation.failure:
            return run.observations.get(self._planned.environment)
        return observation

    async def put(self, ours: Stored) -> Stored:
        """Make the attempts, or none if the run was ended meanwhile. Return the document with our intent."""
        if not self._refusal:
            ours = await self._sending.send(ours)
        self._run.count(self._classify(ours))
        return ours

    # --- the outcome -------------------------------------------------------------------------------

    async def settle(self, ours: Stored) -> EnvironmentResult:
        """Write the outcome into the state, and return the result."""
        outcome = self._classify(ours)
        written = await self._run.write(self._planned.environment, self._make_settled(ours, outcome), ours)
        if written.error is None or written.landed:
            logger.info("%s: %s, recorded", self._planned.environment, outcome)
            if written.error is not None:
                self._note_trouble(halt=True)
                self._run.world.warn(f"{self._planned.environment}: {outcome}, and the state shows it. {written.error}")
            return self._result(outcome, self._message(outcome))
        logger.info("%s: %s, and the outcome could not be recorded", self._planned.environment, outcome)
        if isinstance(written.error, Conflict):
            return await self._impose_doubt(ours)
        self._note_trouble(halt=True)
        return self._make_unrecorded(outcome, written.error, ours=ours)

    def _make_settled(self, ours: Stored, outcome: Outcome) -> Document | None:
        """Return the document with the outcome; None to delete it, if there was none before and nothing was sent."""
        if outcome is Outcome.SKIPPED and self._stored is None:
            return None
        last = None if outcome is Outcome.SKIPPED else self._make_last(outcome)
        if outcome is Outcome.APPLIED:
            by = self._run.world.by
            return record.confirm(ours.document, self._desired, self._fingerprint, self._run.now(), by, last)
        intent = ours.document.intent
        in_doubt = intent is not None and intent.doubt
        if outcome is Outcome.UNCERTAIN or (outcome is Outcome.SKIPPED and in_doubt):
            return record.mark_in_doubt(ours.document, last)
        return record.clear(ours.document, last)

    def _make_last(self, outcome: Outcome, message: str | None = None) -> LastTry:
        text = self._message(outcome) if message is None else message
        return record.make_last(outcome, find_status(self._sending.attempts), text, self._run.now(), self._run.world.by)

    def _message(self, outcome: Outcome) -> str:
        if outcome is Outcome.APPLIED:
            return ""
        if self._sending.not_begun:
            return f"not begun: {self._sending.not_begun}"
        if not self._sending.attempts:
            return f"not sent: {self._refusal or _LEASE_OVER}"
        tries = len(self._sending.attempts)
        return self._sending.attempts[-1].message + (f" (tried {tries} times)" if tries > 1 else "")

    def _make_unrecorded(self, outcome: Outcome, error: StateError | None, *, ours: Stored | None) -> EnvironmentResult:
        """Return the result if the outcome could not be written.

        Our intent is still in the state, so another run finds it, in doubt after its lease. `ours` is None if another
        run or the user removed the intent: then nothing in the state shows our PUT.
        """
        if ours is not None:
            advice, remedy = self._advise_unlock(ours), Remedy.UNLOCK
        else:
            name = self._planned.environment
            advice = f"Its intent was removed meanwhile: run `reconciler apply --reassert -e {name}`"
            remedy = Remedy.REASSERT
        if not self._sending.attempts:
            message = f"not sent, and the intent could not be removed: {error}. {advice}"
            return replace(self._result(outcome, message), remedy=remedy)
        done = "Plug accepted it, but" if outcome is Outcome.APPLIED else f"{self._sending.attempts[-1].message};"
        message = f"{done} the outcome could not be recorded: {error}. {advice}"
        return replace(self._result(Outcome.UNCERTAIN, message), remedy=remedy)

    def _advise_unlock(self, ours: Stored) -> str:
        """Return what to do about our own lease, which this run could not release."""
        intent = ours.document.intent
        assert intent is not None, "our intent stays until it is settled"
        assert intent.lease_until is not None, "a live intent has a lease"
        until, name = instant(intent.lease_until), self._planned.environment
        return f"Its lease lasts until {until}: apply again then, or sooner after `reconciler state unlock {name}`"

    async def _impose_doubt(self, ours: Stored) -> EnvironmentResult:
        """Write doubt into a document that another run, or the user, wrote without knowing of our PUT.

        See docs/contract.md#lost-intents.
        """
        self._note_trouble(halt=False)
        error: StateError | None = None
        last = self._make_last(Outcome.UNCERTAIN, _TAKEN_AWAY)
        for _ in range(SETTLE_TRIES):
            try:
                found = await self._read()
            except StateError as fault:
                error = fault
                break
            document = found.document if found else None
            doubted = record.impose_doubt(document, ours.document, self._run.world.clock.now(), last)
            written = await self._run.write(self._planned.environment, doubted, found)
            if written.version is not None:
                return self._result(Outcome.UNCERTAIN, _TAKEN_AWAY)
            error = written.error
            if not isinstance(error, Conflict):
                break
        self._note_trouble(halt=True)
        return self._make_unrecorded(Outcome.UNCERTAIN, error, ours=None)

    # --- the store ---------------------------------------------------------------------------------

    async def _read(self) -> Stored | None:
        name = self._planned.environment
        return (await self._run.world.offload(lambda: self._run.world.store.read([name]))).get(name)


def make_result(
    planned: EnvironmentPlan, outcome: Outcome, *, attempts: Sequence[Attempt] = (), message: str = ""
) -> EnvironmentResult:
    """Return the result of one environment. Its `attempts` counts those that sent at least one byte."""
    return EnvironmentResult(
        environment=planned.environment,
        outcome=outcome,
        reasons=planned.reasons,
        attempts=sum(attempt.fate is not Fate.UNSENT for attempt in attempts),
        status=find_status(attempts),
        message=message,
        seconds=0.0,
    )


def find_status(attempts: Sequence[Attempt]) -> int | None:
    """Return the last answer's status; None without an answer."""
    return next((attempt.status for attempt in reversed(attempts) if attempt.status is not None), None)
