"""The checks of a later attempt of an apply run, as the branch may have a newer commit than in the first attempt.

A run that is started again has the inputs and the event of its first attempt. Inputs that narrow it or lift a guard
were meant for the commit that the first attempt found, so they are valid for no other commit. A single job that is
started again also has the commit of the first job, although another run may have applied a newer one since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from reconciler.core.workflow.steps import is_of_run
from reconciler.model import By, Document, Outcome, Problem
from reconciler.text.commits import shorten_commit

UNAPPLIED = frozenset({Outcome.REJECTED, Outcome.FAILED, Outcome.UNCERTAIN})


class RunAttempt(Struct, frozen=True):
    """One attempt of a workflow run. `number` counts from 1."""

    run_id: str
    number: int

    @property
    def is_later(self) -> bool:
        return self.number > 1

    def __str__(self) -> str:
        """Return the text that is in a document's `by.run`."""
        return f"{self.run_id}/{self.number}"


def find_first_commit(documents: Iterable[Document], attempt: RunAttempt, event_sha: str) -> str:
    """Return the commit that the first attempt of the run found.

    It is read from the documents that the run wrote. If there are none, the event's commit is returned. If the first
    attempt found another commit, the run is then refused although it need not be.
    """
    found = {
        number: by.commit.removesuffix("+")
        for document in documents
        for by in _find_writers(document)
        if is_of_run(by.run, attempt.run_id) and by.commit is not None and (number := _find_number(by.run)) is not None
    }
    return found[min(found)] if found else event_sha


def _find_writers(document: Document) -> Iterator[By]:
    if document.last is not None:
        yield document.last.by
    if document.applied is not None:
        yield document.applied.by
    if document.intent is not None:
        yield document.intent.by
    yield from (entry.by for entry in document.history)


def _find_number(run: str | None) -> int | None:
    number = (run or "").partition("/")[2]
    return int(number) if number.isascii() and number.isdigit() else None


def find_stale_inputs(inputs: Iterable[str], first_commit: str, head: str) -> list[Problem]:
    """Refuse inputs, by name, if they were given for another commit than the branch's present one."""
    if head == first_commit:
        return []
    given_for, now = shorten_commit(first_commit), shorten_commit(head)
    message = (
        f"was given for commit {given_for}, and the branch is at {now} now: a run that is started again has the inputs "
        "of its first attempt"
    )
    return [Problem.of(name, message, "start a new run by hand, with inputs for the present commit") for name in inputs]


def find_superseded(wants_same: Mapping[str, bool | None]) -> list[str]:
    """Return the environments for which the branch's head is not known to want the same as this run's commit.

    `wants_same` says for each environment whether both want the same; None if it is not known.
    """
    return sorted(name for name, is_same in wants_same.items() if not is_same)


def count_unapplied(documents: Iterable[Document], attempt: RunAttempt) -> int:
    """Count the environments that this attempt tried and did not apply, over all its jobs, for `max_failures`."""
    return sum(
        1
        for document in documents
        if document.last is not None and document.last.by.run == str(attempt) and document.last.outcome in UNAPPLIED
    )
