"""Use case `state adopt`: record manifests as applied without a PUT, after reading Plug (docs/contract.md#commands)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from reconciler.core import record
from reconciler.core.accounts import AccountBook, FleetRules, find_change_fault, find_pin_fault, find_refusal
from reconciler.core.adoption import AdoptionEvidence, compare_for_adoption, find_adoption_problems, is_recorded
from reconciler.core.observe import UNOBSERVABLE
from reconciler.errors import InputError, Locked, StateError
from reconciler.model import By, Desired, Document, Fingerprint, Problem, Stored
from reconciler.ports import CredentialChecks, StateStore, Write
from reconciler.run.guards import make_fleet_rules
from reconciler.run.planning import Observe
from reconciler.run.state_edits import refuse_live


class Adoption(Struct, frozen=True):
    """An environment that manifests, state and tokens allow to adopt, with the document to write."""

    desired: Desired
    stored: Stored | None
    document: Document


class Adoptions(Struct):
    """The environments that may be adopted. `problems` and `locked` say why the others may not."""

    found: list[Adoption] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    locked: list[Locked] = field(default_factory=list)

    @property
    def documents(self) -> dict[str, Document]:
        return {one.desired.environment: one.document for one in self.found}


def find_adoptions(
    names: Collection[str],
    desired: Sequence[Desired],
    store: StateStore,
    credentials: CredentialChecks,
    now: datetime,
    by: By,
) -> Adoptions:
    """Return the environments among `names` that may be adopted; `desired` are all manifests. Writes nothing.

    Raises InputError for a name that no manifest has, and what the store raises.
    """
    by_name = {one.environment: one for one in desired}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InputError.of("ENV", f"{unknown[0]!r} is in no manifest", "adopt records what a manifest wants")
    stored, book = store.read(names), AccountBook(store.read_changes().heads)
    rules = make_fleet_rules(desired, credentials)
    adoptions = Adoptions()
    for name in sorted(names):
        wanted = by_name[name]
        problems = credentials.find_malformed_tokens([wanted]) or _find_account_problems(
            wanted, book, credentials, now, rules
        )
        if problems:
            adoptions.problems += problems
            continue
        try:
            adoption = make_adoption(stored.get(name), wanted, credentials.fingerprint(wanted), now, by)
        except Locked as error:
            adoptions.locked.append(error)
            continue
        adoptions.found.append(adoption)
        book.update(name, adoption.document)  # of two that share a token, the second is refused
    return adoptions


def make_adoption(stored: Stored | None, desired: Desired, fingerprint: Fingerprint, now: datetime, by: By) -> Adoption:
    """Return the adoption of one environment. Raises Locked if another run has a live intent."""
    refuse_live(stored, now, doing="adopt")
    before = stored.document if stored else None
    return Adoption(desired, stored, record.adopt(before, desired, fingerprint, now, by, lineage=uuid.uuid4().hex))


class AdoptionReview(Struct, frozen=True):
    """The adoptions that the reads of Plug allow, and what each read showed.

    `problems` and `locked` say why others may not be recorded; `recorded` are those that are recorded already.
    """

    adoptions: Sequence[Adoption]
    evidence: Mapping[str, AdoptionEvidence]
    problems: Sequence[Problem]
    locked: Sequence[Locked]
    recorded: Sequence[str] = ()


def review_adoptions(
    found: Adoptions, observe: Observe | None, *, no_token: str, unverified: bool, skip_recorded: bool
) -> AdoptionReview:
    """Compare what Plug holds with the documents that would be written.

    `observe` is None if there is no token to read with; `no_token` says which. `skip_recorded` leaves out environments
    for which nothing new would be recorded. Raises what `observe` raises.
    """
    recorded = [
        one.desired.environment
        for one in found.found
        if skip_recorded and is_recorded(one.stored.document if one.stored else None, one.document)
    ]
    possible = [one for one in found.found if one.desired.environment not in recorded]
    seen = observe([one.desired for one in possible], found.documents) if observe is not None and possible else {}
    adoptions, problems = [], list(found.problems)
    evidence: dict[str, AdoptionEvidence] = {}
    for one in possible:
        name = one.desired.environment
        observation = seen.get(name) if one.desired.account_id is not None else UNOBSERVABLE
        evidence[name] = compare_for_adoption(observation, no_token=no_token)
        refused = list(find_adoption_problems(one.desired, evidence[name], unverified=unverified))
        problems += refused
        if not refused:
            adoptions.append(one)
    return AdoptionReview(adoptions, evidence, problems, found.locked, recorded)


def write_adoptions(store: StateStore, adoptions: Sequence[Adoption]) -> list[StateError]:
    """Write the documents, and return an error for each that could not be written."""
    writes = [
        Write(one.desired.environment, one.document, one.stored.version if one.stored else None) for one in adoptions
    ]
    results = store.write(writes) if writes else []
    return [result.error for result in results if result.error is not None]


def _find_account_problems(
    wanted: Desired, book: AccountBook, credentials: CredentialChecks, now: datetime, rules: FleetRules
) -> list[Problem]:
    """Compare the token as `apply` does before an intent.

    A matching `organization_id` has the effect of --accept-account-change, but only for the environment's own record,
    never for the company of another environment.
    """
    account, organization = credentials.account(wanted), credentials.organization(wanted)
    pinned = find_pin_fault(wanted, organization)
    if pinned is not None:
        return [Problem.at(wanted.source, "organization_id", *pinned)]
    is_vouched_for = organization is not None and organization == wanted.organization_id
    faults = (
        None if is_vouched_for else find_change_fault(wanted.environment, book.find(wanted.environment), organization),
        None if account is None else find_refusal(book, wanted.environment, account, now, rules),
    )
    return [Problem.at(wanted.source, "token_env", *fault) for fault in faults if fault is not None]
