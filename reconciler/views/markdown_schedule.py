"""The issues that the schedule keeps, and the notes in its summary."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.workflow.schedule import PATIENCE, WAITING, ApplyRun, Begin
from reconciler.ports import Issue
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import environments, name_some
from reconciler.text.escape import for_markdown, for_markdown_code
from reconciler.text.instants import instant

MAX_TITLE = 250  # characters of an issue's title; GitHub takes 256
_HOURS = int(PATIENCE.total_seconds() // 3600)

_BEGUN = {
    Begin.NOTHING: "",
    Begin.ORDINARY: "An apply was begun, as the default branch wants something that no run has applied.",
    Begin.REASSERT: "An apply was begun that sends everything again, as PLUG_SELF_HEAL is true.",
}


def describe_begun(begun: Begin) -> str:
    """Return a sentence about the run that was begun; empty if none was."""
    return _BEGUN[begun]


def describe_left(count: int, run_id: int | None) -> str:
    """Return a sentence about the drift that is left out because a run will repair it.

    `run_id` is None for the run that this one has begun.
    """
    run = "this new apply" if run_id is None else f"run {run_id}"
    return f"Drift that {run} will repair is left out: {environments(count)} not applied yet."


def describe_sending(count: int) -> str:
    """Return a sentence about environments whose PUT is in flight."""
    return f"A PUT is in flight for {environments(count)}: its outcome is not known yet."


def make_drift_issue(drifted: Sequence[str], text: str, notes: Sequence[str], run_url: str) -> Issue:
    """Return the issue about drift. `text` is the drift as Markdown."""
    title = f"Webhook drift: {name_some(drifted)}"[:MAX_TITLE]
    added = "".join(f"\n{note}\n" for note in notes)
    footer = f"\n<sub>[last looked at]({run_url})</sub>\n"
    return Issue(title, f"{text}{added}{footer}", f"The drift has ended: [this run]({run_url}) found none.")


def make_waiting_issue(late: ApplyRun | None, run_url: str) -> Issue:
    """Return the issue about a run that blocks later ones. With `late` None it only has the text that closes it."""
    closing = f"The run has ended. [This run]({run_url}) saw that no apply run has taken more than {_HOURS} hours."
    if late is None:
        return Issue("", "", closing)
    state = "waits for a reviewer" if late.status == WAITING else f"has not ended (`{late.status}`)"
    text = (
        f"The apply {_link(late)} of commit {for_markdown_code(shorten_commit(late.head_sha))}, begun at "
        f"{instant(late.begun_at)}, {state}.\n\n"
        "Apply runs are serial, so it blocks all later runs, and what was merged since is not applied. The drift "
        "report no longer waits for this run, so it lists what is not applied.\n\n"
        "What to do next:\n\n"
        "- If the run is right, approve it.\n"
        "- Otherwise reject or cancel it: the next run applies the head of the default branch, so nothing is lost. If "
        "no run follows, the schedule begins one.\n"
    )
    return Issue(f"Apply run {late.run_id} blocks later runs", text, closing)


def make_failed_issue(last: ApplyRun) -> Issue:
    """Return the issue about a failed apply run, with the text that closes it once an apply succeeds."""
    link = _link(last)
    commit = for_markdown_code(shorten_commit(last.head_sha))
    text = (
        f"The apply {link}, begun for commit {commit} at {instant(last.begun_at)}, ended as "
        f"{for_markdown(last.conclusion or 'unknown')}. Its summary says which environments were not applied, and why."
        "\n\nWhat to do next: fix what it names, then run the workflow Apply again, or merge the fix. This issue is "
        "closed once an apply succeeds.\n"
    )
    return Issue(f"Apply failed in run {last.run_id}", text, f"The apply {link} succeeded.")


def _link(run: ApplyRun) -> str:
    return f"[run {run.run_id}]({run.url})" if run.url else f"run {run.run_id}"
