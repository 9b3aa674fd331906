"""The attempts of one environment, under the lease of its intent.

See docs/contract.md#retries, docs/contract.md#lost-intents.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from msgspec.structs import replace

from reconciler.core import record
from reconciler.core.attempts import Attempt, Done, Fate, Wait, next_step
from reconciler.model import Desired, Stored
from reconciler.run.context import RunContext

logger = logging.getLogger(__name__)

LEASE_MARGIN_S = 2.0  # instants in a document are whole seconds


class Sending:
    """The attempts of one environment. The caller holds its intent."""

    def __init__(self, run: RunContext, desired: Desired) -> None:
        self.attempts: list[Attempt] = []
        self.not_begun = ""  # why the run ended before the first attempt
        self._run = run
        self._desired = desired
        self._leased_at = 0.0  # a time of the monotonic clock

    def begin_lease(self) -> None:
        """Note the time, directly before an intent or a new lease is written."""
        self._leased_at = self._run.world.clock.monotonic()

    async def send(self, ours: Stored) -> Stored:
        """Make the attempts, or none if the run was ended meanwhile. Return the document with our intent."""
        return ours if self._is_over() else await self._attempt(ours)

    async def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or the run is asked to end.

        Before the first PUT the sleep also ends when the wave ends.
        """
        waiting = [self._run.world.clock.sleep(seconds), self._run.stop.asked.wait()]
        if not self.attempts:
            waiting.append(self._run.ended.wait())
        tasks = [asyncio.ensure_future(one) for one in waiting]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _is_over(self) -> bool:
        """Return whether nothing more may be sent.

        After a signal there is no retry; after anything that ends the run there is no first PUT.
        """
        if self.attempts:
            return bool(self._run.stop)
        self.not_begun = self._run.stop_reason
        return bool(self.not_begun)

    async def _attempt(self, ours: Stored) -> Stored:
        """Make attempts until `next_step` says that it is done, the lease ends, or the run is asked to end."""
        world, options = self._run.world, self._run.options
        begun = world.clock.monotonic()
        while True:
            step = next_step(
                self.attempts,
                limit=options.attempts,
                deadline_s=options.deadline_s,
                elapsed_s=world.clock.monotonic() - begun,
                jitter=world.clock.jitter(),
            )
            match step:
                case Done():
                    return ours
                case Wait(seconds):
                    logger.info("%s: next attempt in %.1f s", self._desired.environment, seconds)
                    await self.sleep(seconds)
                    if self._is_over():
                        return ours
            if self.attempts and world.clock.monotonic() - begun >= options.deadline_s:
                return ours
            # The slot is taken directly before the send, so that sends stay evenly spaced, however long a state write
            # takes. Waiting for it does not count against the deadline, as it says nothing about this environment.
            waiting_since = world.clock.monotonic()
            await self._run.pace.wait(self.sleep)
            if self._is_over():
                return ours
            ours = await self._keep_lease(ours)
            begun += world.clock.monotonic() - waiting_since
            if not self._lease_lasts(ours):
                return ours
            sent_at = world.clock.monotonic()
            attempt = await world.plug.put(self._desired)
            self._run.pace.slow_down_after(attempt, sent_at)
            self.attempts.append(attempt)
            self._log_attempt(attempt, world.clock.monotonic() - sent_at)

    def _log_attempt(self, attempt: Attempt, seconds: float) -> None:
        answer = "no status" if attempt.status is None else str(attempt.status)
        name, number = self._desired.environment, len(self.attempts)
        doubt = "" if attempt.fate is Fate.DEFINITE else f", {attempt.fate}: {attempt.message}"
        logger.info("%s: attempt %d: %s in %.3f s%s", name, number, answer, seconds, doubt)
        logger.debug("%s: attempt %d: %s", name, number, attempt.message or "nothing more is known")

    async def _keep_lease(self, ours: Stored) -> Stored:
        """Renew a lease that was spent on waiting for a slot, and return the document with it.

        A server may slow a run down to one PUT in ten seconds after the intents of a whole batch were written. The
        lease is not renewed if the clock was set or the machine slept, because the plan is then older than it looks.
        """
        options = self._run.options
        held_s = self._run.world.clock.monotonic() - self._leased_at
        if self._lease_lasts(ours) or held_s < options.lease_s - options.timeout_s - LEASE_MARGIN_S:
            return ours
        self.begin_lease()
        document = record.renew(ours.document, self._run.now(), options.lease_s)
        written = await self._run.write(self._desired.environment, document, ours)
        logger.info("%s: lease %s", self._desired.environment, "renewed" if written.error is None else "not renewed")
        if written.version is None:
            return ours  # the old lease ends, and nothing more is sent
        if written.error is not None:  # a power cut may undo the new lease, so only the old one counts
            document = replace(document, intent=ours.document.intent)
        return Stored(document, written.version)

    def _lease_lasts(self, ours: Stored) -> bool:
        """Return whether a PUT sent now ends before another run may take the intent over.

        See docs/contract.md#lost-intents.
        """
        intent = ours.document.intent
        assert intent is not None, "our intent stays until it is settled"
        assert intent.lease_until is not None, "a live intent has a lease"
        now = self._run.world.clock.now()
        # a clock that was set back would make the lease look longer than it is
        return now >= intent.at and now + timedelta(seconds=self._run.options.timeout_s) < intent.lease_until
