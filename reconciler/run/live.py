"""The reads of --observe for a plan, with the checks before them (docs/contract.md#drift)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from reconciler.core.observe import UNOBSERVABLE, Observation
from reconciler.errors import InputError
from reconciler.model import Desired, Document
from reconciler.ports import Clock, CredentialChecks, Observer
from reconciler.run.observe import ObserveOptions, observe_all
from reconciler.run.pace import Pace


class LiveReads(Struct, frozen=True):
    """Reads the account of each environment that has an account_id. Without any, no token is needed.

    `open_observer` is called once for all reads, `announce` once before the first read, with the number of accounts.
    `pace` is that of the whole run.
    """

    credentials: CredentialChecks
    partner_token_env: str
    allowed_hosts: Collection[str]
    open_observer: Callable[[], AbstractAsyncContextManager[Observer]]
    clock: Clock
    options: ObserveOptions
    pace: Pace
    announce: Callable[[int], None]

    def __call__(self, desired: Sequence[Desired], documents: Mapping[str, Document]) -> Mapping[str, Observation]:
        """Return an observation of each environment.

        Raises InputError, before anything is sent, if the partner token or its address can't be used.
        """
        observed = [one for one in desired if one.account_id is not None]
        if not observed:
            return {one.environment: UNOBSERVABLE for one in desired}
        problems = self.credentials.find_partner_problems(observed, self.partner_token_env, self.allowed_hosts)
        if problems:
            raise InputError(problems=problems)
        self.announce(len(observed))
        return asyncio.run(self._read(desired, documents))

    async def _read(self, desired: Sequence[Desired], documents: Mapping[str, Document]) -> Mapping[str, Observation]:
        async with self.open_observer() as observer:
            return await observe_all(desired, documents, observer, self.clock, self.options, self.pace)
