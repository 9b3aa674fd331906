"""The end of an apply run, for a job's summary and for the pull requests that it applied: failures come first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import assert_never

from msgspec import Struct

from reconciler.core.workflow.endings import Ending, EndReport
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import environments
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.text.groups import SHOWN_ONE_BY_ONE, generalize_text, join_instants
from reconciler.text.instants import instant
from reconciler.views.markdown_parts import MAX_CHARS, names, next_steps, page, row, table

REFUSAL_CHARS = 30_000  # of the message of the first job, as it is shown; a character may be escaped as several
FOOTER_CHARS = 500  # room for the line that names the run, and for the lines that a comment begins with

_COUNTED = {
    Ending.IN_DOUBT: "in doubt",
    Ending.NOT_APPLIED: "not applied",
    Ending.NOT_TRIED: "not tried",
    Ending.UNKNOWN: "unknown",
    Ending.APPLIED: "applied",
    Ending.AS_WANTED: "already as wanted",
    Ending.SUPERSEDED: "wanted otherwise since",
    Ending.REMOVED: "no longer in the manifests",
}

_NEXT = {
    Ending.IN_DOUBT: "in doubt: run the workflow Apply again: it sends the desired webhooks again.",
    Ending.NOT_APPLIED: "not applied: fix what the message names, then run the workflow Apply again.",
    Ending.NOT_TRIED: "not tried: nothing was sent. Fix what stopped its job, then run the workflow Apply again.",
    Ending.UNKNOWN: "unknown: fix what can't be read, or look at the job; the next run of Apply reports it.",
}


_NEXT_LOCKED = (
    "in doubt and locked: no run is left that could release the lock. Wait until it ends, or run reconciler state "
    "unlock ENVIRONMENT in a checkout; then run the workflow Apply again: it sends the desired webhooks again."
)


class RunText(Struct, frozen=True):
    """The facts about the run that every text shows.

    `refused` is the message of the first job, if it refused the whole run. `lifted` has a line for each guard that a
    label lifted, with the user who set the label.
    """

    url: str
    commit: str
    refused: str = ""
    lifted: str = ""
    notes: tuple[str, ...] = ()  # warnings, as plain text


def render_run(reports: Sequence[EndReport], run: RunText) -> str:
    """Return the text about the whole run, for the job's summary."""
    return _render(reports, run, [])


def render_pull_request(reports: Sequence[EndReport], run: RunText) -> str:
    """Return the comment on a merged pull request: the environments that it changed, and the result of each."""
    return _render(reports, run, ["The environments that this pull request changed, at the end of this run:"])


def _render(reports: Sequence[EndReport], run: RunText, lead: list[str]) -> str:
    count = Counter(one.ending for one in reports)
    parts = [f"{count[ending]:,} {_COUNTED[ending]}" for ending in Ending if count[ending]]
    summary = ", ".join(["refused"] * bool(run.refused) + parts) or "nothing was to be applied"
    lifted = "\n".join(f"- {for_markdown(line)}" for line in run.lifted.split("\n") if line)
    head = [f"## Apply: {summary}", *_refusal(run.refused), lifted, *lead]
    tail = next_steps(_list_next(reports))
    tail += [f"Warning: {for_markdown(note)}" for note in run.notes]
    tail.append(
        f"<sub>[this run]({run.url}), commit {for_markdown_code(shorten_commit(run.commit), in_html=True)}</sub>"
    )
    rows = [(_row(group), len(group)) for group in _group(reports)]
    header = ("environment", "result", "why, or by whom")
    room = MAX_CHARS - FOOTER_CHARS - len(page(head, [], tail))
    return page(head, table(header, rows, "more environments: see the state", room=room), tail)


def _list_next(reports: Sequence[EndReport]) -> list[str]:
    endings = {one.ending for one in reports if not one.locked}
    texts = [_NEXT_LOCKED] if any(one.locked for one in reports) else []
    return texts + [text for ending, text in _NEXT.items() if ending in endings]


def _refusal(text: str) -> list[str]:
    if not text:
        return []
    lines = text.strip().split("\n")
    block = for_markdown_block(lines, language="text")
    while len(block) > REFUSAL_CHARS:
        text = text[: len(text) * REFUSAL_CHARS // len(block)]
        block = for_markdown_block([*text.strip().split("\n"), "… the rest is in the run"], language="text")
    return [f"The first job refused this attempt, so no job of an environment began:\n\n{block}"]


def _group(reports: Sequence[EndReport]) -> list[list[EndReport]]:
    """Group the environments with the same text, in the order of their first members.

    A small group whose members have different jobs is shown one by one, so that each links to its job.
    """
    groups: dict[object, list[EndReport]] = {}
    for one in reports:
        by = (one.by.actor, one.by.run) if one.by else None
        alike = generalize_text(one.environment, one.why) if one.why else ""
        groups.setdefault((one.ending, alike, by, one.adopted, one.commit), []).append(one)
    return [
        part
        for group in groups.values()
        for part in ([group] if len(group) > SHOWN_ONE_BY_ONE or _share_job(group) else [[one] for one in group])
    ]


def _share_job(group: Sequence[EndReport]) -> bool:
    return all(one.job == group[0].job for one in group)


def _row(group: Sequence[EndReport]) -> str:
    first = group[0]
    every = [one.environment for one in group]
    who = names(every) if len(group) == 1 else f"{environments(len(group))}: {names(every)}"
    return row(who, _COUNTED[first.ending], _explain(group))


def _explain(group: Sequence[EndReport]) -> str:
    first = group[0]
    why = for_markdown(_why(group))
    match first.ending:
        case Ending.APPLIED:
            return f"by this run{_when(group)}"
        case Ending.AS_WANTED:
            done = "adopted" if first.adopted else "applied"
            return "; ".join(part for part in (f"{done}{_by(first)}{_when(group)}", why, _link(group)) if part)
        case Ending.SUPERSEDED | Ending.REMOVED:
            return f"last changed by commit {for_markdown_code(shorten_commit(first.commit))}" if first.commit else ""
        case Ending.IN_DOUBT | Ending.NOT_APPLIED | Ending.NOT_TRIED | Ending.UNKNOWN:
            return " ".join(part for part in (why, _link(group)) if part)
        case _:
            assert_never(first.ending)


def _why(group: Sequence[EndReport]) -> str:
    if len(group) == 1:
        return group[0].why
    return join_instants([one.why for one in group], generalize_text(group[0].environment, group[0].why))


def _by(one: EndReport) -> str:
    actor = f" by {for_markdown_code(one.by.actor)}" if one.by and one.by.actor else ""
    return actor + (f" in run {for_markdown_code(one.by.run)}" if one.by and one.by.run else "")


def _when(group: Sequence[EndReport]) -> str:
    times = sorted(text for one in group if (text := instant(one.at)))
    if not times:
        return ""
    return f" at {times[0]}" if times[0] == times[-1] else f" from {times[0]} to {times[-1]}"


def _link(group: Sequence[EndReport]) -> str:
    job = group[0].job
    return f"([job]({job.url}))" if job is not None and job.url and _share_job(group) else ""
