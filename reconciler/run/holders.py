"""Doubt for environments whose webhooks an accepted account change overwrites, written before the PUT.

See docs/contract.md#guards.

Otherwise such an environment would stay `unchanged` for ever, even after the token is right again.
"""

from __future__ import annotations

import logging

from reconciler.core import record
from reconciler.core.accounts import find_accounts
from reconciler.errors import Conflict
from reconciler.model import Desired, Document, Intent, Stored
from reconciler.run.context import RunContext
from reconciler.text.lock import describe_lock

logger = logging.getLogger(__name__)

TRIES = 5  # after this many lost races in a row, nothing is sent


async def doubt_holders(run: RunContext, desired: Desired, account: str | None) -> str:
    """Put every other environment that holds the account in doubt, durably.

    Returns why nothing may be sent; empty if all of them are in doubt. Raises StateError.
    """
    if account is not None:
        for holder in sorted(run.accounts.find_holders(desired.environment, account)):
            why = await _mark_holder_in_doubt(run, desired, holder, account)
            if why:
                return why
    return ""


async def _mark_holder_in_doubt(run: RunContext, desired: Desired, holder: str, account: str) -> str:
    for _ in range(TRIES):
        stored = (await run.world.offload(lambda: run.world.store.read([holder]))).get(holder)
        if stored is None or account not in find_accounts(stored.document):
            return ""  # it was forgotten or moved meanwhile, so its next apply sends anyway
        intent, now = stored.document.intent, run.world.clock.now()
        if intent is not None and intent.is_live(now):
            if intent.doubt and intent.account != account:
                return ""  # only a 2xx from another company ends that doubt, and then it no longer holds this account
            return (
                f"{holder} was last applied to the Plug company of this token, and {describe_lock(intent, now)}. Run "
                "apply again after that"
            )
        doubted = record.mark_holder_in_doubt(stored.document, _describe_put(run, desired, account))
        if doubted is None or await _write(run, stored, doubted):
            return ""
    raise Conflict(holder, f"lost {TRIES} races for it in a row")


def _describe_put(run: RunContext, desired: Desired, account: str) -> Intent:
    return Intent(
        id=run.world.new_id(),
        webhooks=dict(desired.webhooks),
        doubt=True,
        at=run.now(),
        lease_until=None,
        by=run.world.by,
        endpoint=desired.endpoint,
        account=account,
    )


async def _write(run: RunContext, stored: Stored, doubted: Document) -> bool:
    """Return whether the document was written; False after a lost race. Raises StateError."""
    name = doubted.environment
    written = await run.write(name, doubted, stored)
    if written.error is not None:
        if isinstance(written.error, Conflict):
            return False
        raise written.error
    before = stored.document
    run.doubted[doubted.lineage, doubted.serial] = before.lineage, before.serial
    logger.info("%s: in doubt, serial %d", name, doubted.serial)
    run.world.warn(f"{name} is in doubt now, as its webhooks are overwritten: apply it with its own company's token")
    return True
