"""The Markdown forms, for a pull request or a job's summary, short enough for GitHub (docs/contract.md#plan).

A page is at most `MAX_CHARS` long. It is never cut: a block or row that doesn't fit is left out whole and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from reconciler.core.masking import show_document
from reconciler.model import By, Document, EnvironmentResult, HistoryEntry, Outcome, Problem, RunResult
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_markdown, for_markdown_code
from reconciler.text.groups import message_of
from reconciler.text.instants import age, instant
from reconciler.views import words
from reconciler.views.markdown_check import render_check
from reconciler.views.markdown_drift import render_drift
from reconciler.views.markdown_parts import MAX_CHARS, names, next_steps, page, row, table
from reconciler.views.markdown_plan import render_plan
from reconciler.views.where_words import where_paragraph

MAX_PROBLEM_CHARS = 4_000  # of its row, in which escapes may take ten times the characters of the problem

__all__ = [
    "MAX_CHARS",
    "render_check",
    "render_drift",
    "render_plan",
    "render_result",
    "render_state_history",
    "render_state_list",
    "render_state_show",
    "render_validation",
]


def render_result(result: RunResult) -> str:
    """Return what was not applied as a table, the numbers of the other environments, and what to do next."""
    head = [f"## {words.result_summary(result)}", *where_paragraph(result.where)]
    applied = [one.environment for one in result.environments if one.outcome is Outcome.APPLIED]
    tail = [f"Applied: {environments(len(applied))}: {names(applied)}."] if applied else []
    unchanged = sum(1 for one in result.environments if one.outcome is Outcome.UNCHANGED)
    if unchanged:
        tail.append(f"Unchanged: {environments(unchanged)}.")
    tail += next_steps(words.list_next(result))
    rows = [(_result_row(group), len(group)) for group in words.group_not_applied(result)]
    header = ("environment", "outcome", "status", "attempts", "message")
    return page(head, table(header, rows, "more not applied: see the log", room=_room(head, tail)), tail)


def _result_row(group: Sequence[EnvironmentResult]) -> str:
    first = group[0]
    several = len(group) > 1
    who = names([one.environment for one in group])
    return row(
        f"{environments(len(group))}: {who}" if several else who,
        first.outcome.value,
        "" if first.status is None else str(first.status),
        str(max(one.attempts for one in group)),
        for_markdown(message_of(group)),
    )


def render_validation(
    errors: Sequence[Problem],
    warnings: Sequence[Problem],
    *,
    environments: int | None = None,
    max_chars: int = MAX_CHARS,
) -> str:
    """Return a table of the errors, then the warnings, each with its file and line."""
    head = [f"## {words.validation_summary(errors, warnings, count=environments)}"]
    rows = [(_problem_row("error", problem), 1) for problem in errors]
    rows += [(_problem_row("warning", problem), 1) for problem in warnings]
    header = ("", "place", "key", "what is wrong", "what would be right")
    return page(
        head, table(header, rows, "more: run `reconciler validate`", room=max_chars - len(page(head, [], []))), []
    )


def _problem_row(label: str, problem: Problem) -> str:
    """Return the row of a problem. One that would crowd out others shows only its place."""
    where = for_markdown_code(problem.where) if problem.where else ""
    key = for_markdown_code(problem.key) if problem.key else ""
    whole = row(label, where, key, for_markdown(problem.message), for_markdown(problem.hint))
    if len(whole) <= MAX_PROBLEM_CHARS:
        return whole
    return row(label, where, "", "is too long to show here", "run `reconciler validate`")


def render_state_list(documents: Iterable[Document], now: datetime, *, unread: int = 0) -> str:
    """Return the fleet as a table. `now` decides which leases are over.

    `unread` is the number of documents that can't be read.
    """
    ordered = sorted(documents, key=lambda document: document.environment)
    head = [f"## State: {environments(len(ordered))}"]
    if unread:
        head.append(f"{counted(unread, 'document')} can't be read.")
    rows = [(_document_row(document, now), 1) for document in ordered]
    header = ("environment", "serial", "applied", "age", "by", "commit", "standing")
    return page(head, table(header, rows, "more: run `reconciler state list`", room=_room(head, [])), [])


def _document_row(document: Document, now: datetime) -> str:
    applied = document.applied
    return row(
        for_markdown_code(document.environment),
        str(document.serial),
        (instant(applied.at) if applied else None) or "never",
        age(applied.at if applied else None, now),
        *_by_cells(applied.by if applied else By()),
        words.standing(document, now),
    )


def _by_cells(by: By) -> tuple[str, str]:
    actor = for_markdown_code(by.actor) if by.actor else ""
    return actor, for_markdown_code(shorten_commit(by.commit)) if by.commit else ""


def render_state_show(document: Document, now: datetime) -> str:
    """Return the state of one environment as a table."""
    document = show_document(document)
    applied, intent = document.applied, document.intent
    facts = [
        ("standing", words.standing(document, now)),
        ("serial", str(document.serial)),
        ("lineage", for_markdown_code(document.lineage)),
        ("applied", (instant(applied.at) if applied else None) or "never"),
    ]
    if applied:
        facts.append(("by", ", ".join(cell for cell in _by_cells(applied.by) if cell)))
        facts.append(("endpoint", for_markdown_code(applied.endpoint)))
        facts.append(("body", applied.body.value))
        facts += [(event.value, for_markdown_code(url)) for event, url in applied.webhooks.items()]
    if intent:
        facts.append(("intent of", instant(intent.at) or ""))
        facts += [(f"{event.value} (intent)", for_markdown_code(url)) for event, url in intent.webhooks.items()]
    if document.last:
        facts.append(("last try", words.describe_last(document.last)))
        if document.last.message:
            facts.append(("message", for_markdown_code(document.last.message)))
    head = [f"## State of {for_markdown_code(document.environment)}"]
    rows = [(row(*fact), 1) for fact in facts]
    return page(head, table(("", ""), rows, "more", room=_room(head, [])), [])


def render_state_history(document: Document) -> str:
    """Return the last try, and a table of the applied records, newest first."""
    head = [f"## History of {for_markdown_code(document.environment)}"]
    if document.last is not None:
        message = f": {for_markdown(document.last.message)}" if document.last.message else ""
        head.append(f"Last try: {words.describe_last(document.last)}{message}")
    moves = words.find_moves(document)
    shown = show_document(document).history
    rows = [(_entry_row(entry, moved), 1) for entry, moved in zip(shown, moves, strict=True)]
    header = ("at", "", "by", "commit", "changed")
    return page(head, table(header, rows, "more: run `reconciler state history`", room=_room(head, [])), [])


def _entry_row(entry: HistoryEntry, moved: Mapping[str, str]) -> str:
    facts = {**moved} | {event.value: url for event, url in entry.webhooks.items()}
    changed = "<br>".join(f"{name} {for_markdown_code(value)}" for name, value in facts.items())
    how = "adopted" if entry.adopted else "applied"
    return row(instant(entry.at) or "", how, *_by_cells(entry.by), changed or "nothing changed")


def _room(head: Iterable[str], tail: Iterable[str]) -> int:
    return MAX_CHARS - len(page(list(head), [], list(tail)))
