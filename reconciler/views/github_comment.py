"""The texts that the steps of a workflow post to GitHub, or write into the job's summary."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.workflow import JobReport, find_silent, fit, join_results
from reconciler.text.counts import counted, name_some
from reconciler.text.escape import for_markdown, for_markdown_block, for_markdown_code
from reconciler.views import markdown

MAX_LOG_LINES = 200
MAX_LOG_LINE = 1000  # characters
MAX_LOG_CHARS = 30_000
MAX_TITLE = 250  # characters of an issue's title; GitHub takes 256


def render_footer(run_url: str, sha: str) -> str:
    """The run that wrote a comment, and the commit that it is about."""
    return f"\n<sub>[this run]({run_url}), commit {for_markdown_code(sha[:12], in_html=True)}</sub>\n"


def render_apply(reports: Sequence[JobReport], planned: Sequence[str]) -> str:
    """The environments without any result, one table of all results, then the texts of the jobs without one.

    A job that was refused by a reviewer, held back by an earlier wave, or ended before its apply leaves nothing: a
    comment on the others alone would look done.
    """
    joined = join_results(one.result for one in reports if one.result is not None)
    texts = [one.text for one in reports if one.result is None]
    if joined is None and not texts:
        return "## Apply: no job left a result\n\nNothing is known to be applied. The run says what stopped it.\n"
    silent = find_silent(planned, reports)
    parts = [_render_silent(silent)] if silent else []
    parts += [markdown.render_result(joined)] if joined is not None else []
    kept, left = fit(texts, markdown.MAX_CHARS - sum(map(len, parts)))
    more = [f"… and {counted(left, 'more job')} failed: see the run\n"] if left > 0 else []
    return "\n".join([*parts, *kept, *more])


def _render_silent(names: Sequence[str]) -> str:
    return (
        f"## Not applied: {for_markdown(name_some(names))}\n\n"
        "Planned, but its job ended before the apply: refused, cancelled, held back by an earlier wave, or without a "
        "token. Its log says why; then run Apply again.\n"
    )


def render_drift_issue(names: Sequence[str], text: str, run_url: str) -> tuple[str, str]:
    """The title and the text of the issue on drift."""
    title = f"Webhook drift: {name_some(names)}"[:MAX_TITLE]
    return title, f"{text}\n<sub>[last looked at]({run_url})</sub>\n"


def render_no_drift(run_url: str) -> str:
    """The last comment on the issue that is closed."""
    return f"No drift any more: [this run]({run_url}) found none."


def render_failure(title: str, log: str) -> str:
    """What a failed command wrote to stderr, for the job's summary."""
    lines = [line for line in log.split("\n") if line.strip() and not line.startswith("::")]
    left = len(lines) - MAX_LOG_LINES
    block = [line[:MAX_LOG_LINE] for line in lines[:MAX_LOG_LINES]]
    block += [f"… and {left} more lines: see the log"] if left > 0 else []
    while sum(map(len, block)) > MAX_LOG_CHARS:
        block = [*block[: len(block) // 2], "… and more: see the log"]
    return f"## {for_markdown_code(title)}\n\n{for_markdown_block(block, language='text')}\n"
