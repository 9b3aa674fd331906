"""The issues that the schedule keeps, and what it adds to its summary."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.protocol.schedule import PATIENCE, WAITING, ApplyRun, Begin
from reconciler.ports import Issue
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
    """The sentence about the run that was begun; empty where none was."""
    return _BEGUN[begun]


def describe_left(count: int, run_id: int | None) -> str:
    """The sentence about what is left to a run under way, or (None) to the one that was begun."""
    what = "that apply" if run_id is None else f"run {run_id}"
    return f"What {what} will do is left out: {environments(count)} not applied yet."


def describe_sending(count: int) -> str:
    """The sentence about environments that an apply is at work on."""
    return f"A PUT is under way for {environments(count)}: it is not known yet how it ends."


def make_drift_issue(drifted: Sequence[str], text: str, notes: Sequence[str], run_url: str) -> Issue:
    """The issue on drift. `text` is the drift as Markdown."""
    title = f"Webhook drift: {name_some(drifted)}"[:MAX_TITLE]
    added = "".join(f"\n{note}\n" for note in notes)
    footer = f"\n<sub>[last looked at]({run_url})</sub>\n"
    return Issue(title, f"{text}{added}{footer}", f"No drift any more: [this run]({run_url}) found none.")


def make_waiting_issue(late: ApplyRun | None, run_url: str) -> Issue:
    """The issue about a run that holds the others back. `late` None: there is none any more."""
    closing = f"No apply run has been under way for more than {_HOURS} hours any more: [seen by this run]({run_url})."
    if late is None:
        return Issue("", "", closing)
    waits = "waits for a reviewer" if late.status == WAITING else f"has not ended (`{late.status}`)"
    link = f"[run {late.run_id}]({late.url})" if late.url else f"run {late.run_id}"
    text = (
        f"The apply {link} of commit {for_markdown_code(late.head_sha[:12])}, begun at {instant(late.begun_at)}, "
        f"{waits}.\n\n"
        "Apply runs are serial, so it holds all later ones back, and what was merged since is not applied. Drift "
        "reports what is not applied again, as this run is no longer waited for.\n\n"
        "What to do next:\n\n"
        "- If it is right, approve it.\n"
        "- Else reject or cancel it: the next run applies the head of the default branch, so nothing is lost. Where "
        "none follows one that was cancelled, the schedule begins one.\n"
    )
    return Issue(f"Apply run {late.run_id} holds the others back", text, closing)


def make_failed_issue(last: ApplyRun) -> Issue:
    """The issue about the apply that failed last; its closing where the last one succeeded."""
    link = f"[run {last.run_id}]({last.url})" if last.url else f"run {last.run_id}"
    commit = for_markdown_code(last.head_sha[:12])
    text = (
        f"The apply {link}, begun for commit {commit} at {instant(last.begun_at)}, ended as "
        f"{for_markdown(last.conclusion or 'unknown')}. Its summary says which environments were not applied, and why."
        "\n\nWhat to do next: fix what it names, then run the workflow Apply again, or merge the fix. This issue is "
        "closed once an apply succeeds.\n"
    )
    return Issue(f"Apply failed in run {last.run_id}", text, f"The apply {link} succeeded.")
