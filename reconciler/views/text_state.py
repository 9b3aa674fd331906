"""The state for a terminal: a table of the fleet, one environment, its history (docs/state.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from reconciler.core.masking import show_document
from reconciler.model import Applied, By, Document, HistoryEntry, Intent, LastTry
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import counted, environments
from reconciler.text.escape import for_terminal
from reconciler.text.instants import age, instant
from reconciler.views import words
from reconciler.views.style import Style, columns

LIST_HEADER = ("ENVIRONMENT", "STANDING", "AGE", "APPLIED", "BY", "COMMIT", "SERIAL")  # the most important first


def render_state_list(
    documents: Iterable[Document], now: datetime, *, colour: bool, width: int | None = None, unread: int = 0
) -> str:
    """Return an aligned table sorted by name. `now` decides which leases are over.

    Columns that don't fit into `width` are left out from the right, and named; with None all are shown. `unread` is
    the number of documents that can't be read.
    """
    style = Style(colour)
    ordered = sorted(documents, key=lambda document: document.environment)
    unread_note = f"{counted(unread, 'document')} can't be read." if unread else ""
    if not ordered and unread:
        return f"{unread_note}\n"
    if not ordered:
        return "The state is empty: nothing was ever applied.\n"
    table = [LIST_HEADER, *(_listed(document, now) for document in ordered)]
    shown = len(LIST_HEADER) if width is None else _count_fitting(table, width)
    rows = columns(row[:shown] for row in table)
    lines = [style.bold(rows[0])]
    for row, document in zip(rows[1:], ordered, strict=True):
        lines.append(style.yellow(row) if document.intent is not None else row)
    lines += ["", style.bold(" ".join(filter(None, (f"{environments(len(ordered))}.", unread_note))))]
    if shown < len(LIST_HEADER):
        left_out = ", ".join(LIST_HEADER[shown:]).lower()
        lines.append(style.dim(f"This terminal is too narrow for {left_out}: --format json has them."))
    return "\n".join(lines) + "\n"


def _count_fitting(table: Sequence[Sequence[str]], width: int) -> int:
    """Return how many columns of a table fit; at least three: name, standing and age."""
    sizes = [max(len(row[index]) for row in table) for index in range(len(LIST_HEADER))]
    return max(3, sum(sum(sizes[: index + 1]) + 2 * index <= width for index in range(len(sizes))))


def _listed(document: Document, now: datetime) -> tuple[str, ...]:
    applied = document.applied
    return (
        for_terminal(document.environment),
        words.standing(document, now),
        age(applied.at if applied else None, now),
        (instant(applied.at) if applied else None) or "never",
        for_terminal(words.shorten(applied.by.actor)) if applied and applied.by.actor else "-",
        _commit(applied.by if applied else By()),
        str(document.serial),
    )


def _commit(by: By) -> str:
    return for_terminal(shorten_commit(by.commit)) if by.commit else "-"


def _by_line(by: By) -> str:
    """Return such as `octocat, commit 0123456789ab, run 17-1`."""
    parts = [for_terminal(by.actor) if by.actor else "unknown user"]
    if by.commit:
        parts.append(f"commit {_commit(by)}")
    if by.run:
        parts.append(f"run {for_terminal(by.run)}")
    return ", ".join(parts)


def render_state_show(document: Document, now: datetime, *, colour: bool) -> str:
    """Return the state of one environment."""
    style = Style(colour)
    document = show_document(document)
    facts = [
        ("standing", words.standing(document, now)),
        ("serial", str(document.serial)),
        ("lineage", for_terminal(document.lineage)),
    ]
    sections = [[style.bold(for_terminal(document.environment)), *(f"  {row}" for row in columns(facts))]]
    sections.append(_applied_lines(document.applied, style))
    if document.intent is not None:
        sections.append(_intent_lines(document.intent, now, style))
    if document.last is not None:
        sections.append(_last_lines(document.last, style))
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _applied_lines(applied: Applied | None, style: Style) -> list[str]:
    if applied is None:
        return [style.bold("Applied: ") + "never"]
    facts = [
        ("by", _by_line(applied.by)),
        ("endpoint", for_terminal(applied.endpoint)),
        ("account", for_terminal(applied.account) if applied.account else "not known"),
        ("body", applied.body.value),
    ]
    if applied.token_expires_at is not None:
        facts.append(("token until", instant(applied.token_expires_at) or ""))
    facts += [("secret", for_terminal(name)) for name in sorted(applied.secrets)]
    facts += [(event.value, for_terminal(url)) for event, url in applied.webhooks.items()]
    how = "Adopted" if applied.adopted else "Applied"
    return [style.bold(f"{how} at {instant(applied.at)}:"), *(f"  {row}" for row in columns(facts))]


def _intent_lines(intent: Intent, now: datetime, style: Style) -> list[str]:
    if intent.is_live(now):
        status = f"live until {instant(intent.lease_until)}" + (", in doubt" if intent.doubt else "")
    else:
        status = "in doubt: the effect of its PUT is unknown. Run reconciler apply: it sends the desired webhooks again"
    facts = [("by", _by_line(intent.by)), ("id", for_terminal(intent.id))]
    if intent.endpoint is not None:
        account = for_terminal(intent.account) if intent.account else "not known"
        facts += [("endpoint", for_terminal(intent.endpoint)), ("account", account)]
    facts += [(event.value, for_terminal(url)) for event, url in intent.webhooks.items()]
    heading = style.bold(f"Intent of {instant(intent.at)}: ") + style.yellow(status)
    return [heading, *(f"  {row}" for row in columns(facts))]


def _last_lines(last: LastTry, style: Style) -> list[str]:
    facts = [("by", _by_line(last.by))]
    if last.message:
        facts.append(("message", for_terminal(last.message)))
    heading = style.bold("Last try: ") + for_terminal(words.describe_last(last))
    return [heading, *(f"  {row}" for row in columns(facts))]


def render_state_history(document: Document, *, colour: bool) -> str:
    """Return the last try, and the applied records, newest first: time, user, commit, and what each changed."""
    style = Style(colour)
    document = show_document(document)
    if not document.history and document.last is None:
        return f"{for_terminal(document.environment)}: nothing was ever applied.\n"
    sections = [[style.bold(for_terminal(document.environment))]]
    if document.last is not None:
        sections.append(_last_lines(document.last, style))
    moves = words.find_moves(document)
    sections += [_entry_lines(entry, moved, style) for entry, moved in zip(document.history, moves, strict=True)]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _entry_lines(entry: HistoryEntry, moved: Mapping[str, str], style: Style) -> list[str]:
    how = style.yellow("adopted") if entry.adopted else style.green("applied")
    heading = f"{style.bold(instant(entry.at) or '')}  {how} by {_by_line(entry.by)}"
    facts = [(name, for_terminal(value)) for name, value in moved.items()]
    facts += [(event.value, for_terminal(url)) for event, url in entry.webhooks.items()]
    changed = columns(facts) or ["nothing changed: the same webhooks were sent again"]
    return [heading, *(f"  {row}" for row in changed)]
