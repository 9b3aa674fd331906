"""The summary of an apply run's first job: the steps of the run, and the labels that lifted a guard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.core.workflow.steps import Job, Steps
from reconciler.text.commits import shorten_commit
from reconciler.text.counts import counted, environments, name_some
from reconciler.text.escape import for_markdown, for_markdown_code

MAX_JOBS_NAMED = 20  # of one step


def render_begin(names: Sequence[str], steps: Steps, commit: str, lifted: Iterable[str]) -> str:
    """Return the steps with their jobs. `lifted` has a sentence for each guard that a label lifts."""
    used = [(number, jobs) for number, jobs in enumerate(steps, 1) if jobs]
    head = f"commit {for_markdown_code(shorten_commit(commit))}"
    if not used:
        return f"## Apply: nothing to do\n\nThe state holds what {head} wants.\n"
    lines = [f"## Apply: {environments(len(names))} in {counted(len(used), 'step')}", "", f"From {head}.", ""]
    lines += [f"- {for_markdown(sentence)}" for sentence in lifted]
    lines += [f"- Step {number}{_describe_waves(jobs)}: {_name_jobs(jobs)}" for number, jobs in used]
    return "\n".join([*lines, ""])


def _describe_waves(jobs: Sequence[Job]) -> str:
    waves = sorted({job.wave for job in jobs if job.wave is not None})
    if not waves:
        return ", all waves"
    return f", wave {waves[0]}" if len(waves) == 1 else f", waves {name_some([str(wave) for wave in waves])}"


def _name_jobs(jobs: Sequence[Job]) -> str:
    return for_markdown(name_some([job.name for job in jobs], MAX_JOBS_NAMED))
