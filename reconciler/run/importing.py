"""Reads of the accounts for which `import` writes manifests. A read that fails is reported, and the others go on.

See docs/contract.md#commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import count

from msgspec import Struct

from reconciler.core.attempts import Attempt
from reconciler.core.partner_account import Account
from reconciler.ports import AccountReader, Clock
from reconciler.run.observe import ObserveOptions, Retries, read_with_retries
from reconciler.run.pace import Pace
from reconciler.run.pool import for_each


class AccountReads(Struct, frozen=True):
    """Reads accounts, `concurrency` at a time and within the rate limit. `open_reader` is called once for all."""

    open_reader: Callable[[], AbstractAsyncContextManager[AccountReader]]
    base_url: str
    clock: Clock
    options: ObserveOptions
    pace: Pace

    def __call__(self, account_ids: Mapping[str, str]) -> Mapping[str, Account | str]:
        """Return the account of each environment, or a text that says why it could not be read."""
        return asyncio.run(self._read_all(account_ids)) if account_ids else {}

    async def _read_all(self, account_ids: Mapping[str, str]) -> Mapping[str, Account | str]:
        found: dict[str, Account | str] = {}
        done = count(1)
        retries = Retries(self.clock, self.options, self.pace, self.clock.sleep)
        async with self.open_reader() as reader:

            async def read_one(environment: str) -> None:
                async def read() -> tuple[Attempt, Account | None]:
                    reading = await reader.read_account(account_ids[environment], self.base_url)
                    return reading.attempt, reading.account

                found[environment] = await read_with_retries(environment, read, retries)
                self.options.report(next(done), len(account_ids))

            await for_each(account_ids, self.options.concurrency, read_one)
        return found
