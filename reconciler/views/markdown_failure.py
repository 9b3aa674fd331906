"""The part of a job's summary that shows a failed step."""

from __future__ import annotations

from reconciler.text.counts import counted
from reconciler.text.escape import for_markdown_block

MAX_LOG_LINES = 200
MAX_LOG_LINE = 1000  # characters
MAX_LOG_CHARS = 30_000


def render_failure(title: str, log: str) -> str:
    """Return a section for the job's summary with the messages of a failed command."""
    lines = [line for line in log.split("\n") if line.strip() and not line.startswith("::")]
    left = len(lines) - MAX_LOG_LINES
    block = [line[:MAX_LOG_LINE] for line in lines[:MAX_LOG_LINES]]
    block += [f"… and {counted(left, 'more line')}: see the log"] if left > 0 else []
    while sum(map(len, block)) > MAX_LOG_CHARS:
        block = [*block[: len(block) // 2], "… and more: see the log"]
    return f"## {title}\n\n{for_markdown_block(block, language='text')}\n"
