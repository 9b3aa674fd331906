"""The steps of `state adopt`: read, report what was seen and what was not, record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.output import say, say_problems, warn
from reconciler.cli.progress import watch_state
from reconciler.cli.session import Session
from reconciler.errors import InputError, Locked
from reconciler.model import Problem
from reconciler.run.adopting import (
    Adoption,
    AdoptionReview,
    Adoptions,
    find_adoptions,
    review_adoptions,
    write_adoptions,
)
from reconciler.text.counts import environments, name_some
from reconciler.text.escape import for_terminal


def review_all(session: Session, names: Collection[str], *, unverified: bool, skip_recorded: bool) -> AdoptionReview:
    """Return what can be recorded of the environments, after reading their accounts. Raises InputError, StateError.

    Without a partner token no account is read.
    """
    token_env = session.settings.partner.token_env
    found = _find(session, names)
    observe = session.live_reads(wanted=session.credentials.partner_token(token_env) is not None)
    with watch_state("observing accounts"):
        return review_adoptions(
            found,
            observe,
            no_token=f"there is no partner token in {token_env}",
            unverified=unverified,
            skip_recorded=skip_recorded,
        )


def _find(session: Session, names: Collection[str]) -> Adoptions:
    now, by = session.clock.now().replace(microsecond=0), session.find_by()
    with watch_state("reading the state"):
        return find_adoptions(names, session.desired, session.store, session.credentials, now, by)


def refuse_if_none(review: AdoptionReview) -> None:
    """Raise the errors of the environments if none of them can be recorded. Nothing was written."""
    if review.adoptions or not (review.problems or review.locked):
        return
    if not review.locked:
        raise InputError(problems=review.problems)
    _show_refused(review.problems, review.locked[1:])
    raise review.locked[0]


def show_review(review: AdoptionReview) -> None:
    """Report what is refused, and what was not seen of the others: one line for each reason."""
    _show_refused(review.problems, review.locked)
    if review.recorded:
        say(f"nothing to adopt in {environments(len(review.recorded))}: recorded already")
    unread: dict[str, list[str]] = defaultdict(list)
    unseen: dict[str, list[str]] = defaultdict(list)
    for one in review.adoptions:
        name = one.desired.environment
        found = review.evidence[name]
        if found.unread:
            unread[found.unread].append(name)
        for seen in (*found.uncompared, *found.unseen):
            unseen[f"{seen.event}: {seen.reason}"].append(name)
    for reason, names in unread.items():
        warn(f"what Plug holds of {name_some(names)} was not read: {reason}")
    for reason, names in unseen.items():
        warn(f"not seen of {name_some(names)}: {reason}")


def record_all(session: Session, review: AdoptionReview) -> int:
    """Record the environments. They are read again, as another run may have taken one during the question."""
    found = _find(session, {one.desired.environment for one in review.adoptions})
    _show_refused(found.problems, found.locked)
    with watch_state("writing the state"):
        errors = write_adoptions(session.store, found.found)
    for error in errors:
        say(for_terminal(str(error)), label="error")
    _show_recorded(found.found, failed=len(errors))
    if errors or found.locked or review.locked:
        return ExitCode.STATE_TROUBLE
    return ExitCode.NOT_APPLIED if found.problems or review.problems else ExitCode.DONE


def _show_refused(problems: Sequence[Problem], locked: Sequence[Locked]) -> None:
    if problems:
        say_problems(InputError(problems=problems))
    for error in locked:
        say(for_terminal(str(error)), label="error")


def _show_recorded(adoptions: Sequence[Adoption], *, failed: int) -> None:
    if len(adoptions) == 1 and not failed:
        say(f"adopted: the state of {for_terminal(adoptions[0].desired.environment)} is what the manifest says")
    elif len(adoptions) > failed:
        say(f"adopted: the state of {environments(len(adoptions) - failed)} is what the manifests say")
    without = [one.desired for one in adoptions if one.document.applied and one.document.applied.account is None]
    if without and len(adoptions) == 1:
        shown = for_terminal(without[0].token_env)
        say(f"its account is not recorded, as no token is in {shown}", label="warning")
    elif without:
        shown = for_terminal(name_some([one.environment for one in without]))
        say(f"the account of {shown} is not recorded, as there is no token for it", label="warning")
