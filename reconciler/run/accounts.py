"""The accounts that the fleet's environments hold during a run, with what this run and other runs write.

The token of an environment is compared before its intent is written, and again after it, when the writes of other runs
have been read. So of two runs with the same token, the one that writes its intent later finds the other's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from reconciler.core.accounts import AccountBook, AccountOf, ApplyWay, FleetRules, find_no_account, find_refusal
from reconciler.core.planner import Fleet
from reconciler.model import Document, Snapshot
from reconciler.ports import Changes, Clock, StateStore
from reconciler.run.writer import Offload

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Accounts:
    """The accounts of one run. `accepted` are the environments of --accept-account-change."""

    store: StateStore
    offload: Offload
    clock: Clock
    fleet: Fleet
    accepted: Collection[str]
    warn: Callable[[str], None]
    account_of: AccountOf = find_no_account
    way: ApplyWay = ApplyWay.COMMAND
    _book: AccountBook = field(init=False)
    _rules: FleetRules = field(init=False)
    _snapshot: Snapshot | None = field(init=False)
    _unreadable: set[str] = field(init=False)
    _written: set[str] = field(default_factory=set)  # by this run since the latest scan began
    _next: asyncio.Task[None] | None = None  # a scan that has not begun
    _latest: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._book = AccountBook(self.fleet.heads)
        self._rules = FleetRules(self.fleet.manifests, self.accepted, self.account_of, self.way)
        self._snapshot = self.fleet.snapshot
        self._unreadable = set(self.fleet.unreadable)

    def record_written(self, environment: str, document: Document | None) -> None:
        """Note a document that this run has written, so that it need not be read."""
        self._written.add(environment)
        self._book.update(environment, document)

    def find_refusal(self, environment: str, account: str | None) -> str | None:
        """Return why nothing may be sent for the environment with a token of this account; None if nothing is known."""
        if account is None:
            return None
        fault = find_refusal(self._book, environment, account, self.clock.now(), self._rules)
        return None if fault is None else f"{fault.message}. {fault.hint[0].upper()}{fault.hint[1:]}"

    def find_holders(self, environment: str, account: str | None) -> Collection[str]:
        """Return the other environments that are known to hold the account."""
        return () if account is None else self._book.find_others(account, environment)

    async def refresh(self) -> None:
        """Read what other runs wrote before this run's last write. Raises StateError.

        A read requested while another is in flight joins the next one, because the one in flight may have begun too
        early.
        """
        if self._next is None:
            self._next = self._latest = asyncio.create_task(self._scan(self._latest))
        # shielded: the cancellation of one environment must not cancel the scan of the others
        await asyncio.shield(self._next)

    async def _scan(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        self._next = None
        self._written.clear()
        changes = await self.offload(lambda: self.store.read_changes(self._snapshot))
        if changes.snapshot is not self._snapshot:
            self._take_over(changes)

    def _take_over(self, changes: Changes) -> None:
        logger.debug("state: %d documents changed, %d are gone", len(changes.heads), len(changes.gone))
        self._snapshot = changes.snapshot
        for name, head in changes.heads.items():
            known = self._book.find(name)
            if known is None or known.lineage != head.lineage or known.serial < head.serial:
                self._book.update(name, head)
        for name in changes.gone - self._written:
            self._book.update(name, None)
        for name, fault in changes.faults.items():
            if name not in self._unreadable:
                self._unreadable.add(name)
                self.warn(f"the tokens were not compared with {name}, which can't be read: {fault}")
