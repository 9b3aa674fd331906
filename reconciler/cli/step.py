"""The frame of one step of a GitHub workflow: what it leaves for later steps, for the summary and for the artifact.

The step's process is the one that the runner signals (docs/github.md), so everything happens in it: it reaches the
branch of the state with GITHUB_TOKEN, it masks what must not be shown, and it writes outputs and summary at its end.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.output import write_aside
from reconciler.cli.session import Session
from reconciler.errors import InputError
from reconciler.formats.runner import encode_masks

if TYPE_CHECKING:
    from reconciler.github.hub import RunHub
    from reconciler.github.run import WorkflowRun

MAX_SUMMARY_BYTES = 1024 * 1024  # of a step; GitHub shows an error in place of a longer one
RESULT_PREFIX = "result-"  # of the artifact's folder; the job's name follows


@dataclass
class Step:
    """One step. `name` is the job's, for the artifact; `environ` what the runner set, without the secrets taken."""

    name: str
    environ: MutableMapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def run(self) -> WorkflowRun:
        """The workflow run of this step. Raises InputError outside a workflow."""
        from reconciler.github.run import find_run

        return find_run(self.environ)

    @cached_property
    def session(self) -> Session:
        """The settings, manifests and state of the working directory, as any command sees them."""
        return Session(environ=dict(self.environ))

    @property
    def attempt(self) -> int:
        """The number of this attempt of the run, from 1."""
        text = self.environ.get("GITHUB_RUN_ATTEMPT", "1")
        return int(text) if text.isascii() and text.isdigit() else 1

    def is_on(self, name: str) -> bool:
        """Return whether a variable of the repository, such as PLUG_STRICT, is `true`."""
        return self.environ.get(name, "").strip().lower() == "true"

    @contextmanager
    def open_hub(self) -> Iterator[RunHub]:
        """GitHub, with GITHUB_TOKEN. Raises InputError without one."""
        from reconciler.github.hub import open_hub

        with open_hub(self.environ) as hub:
            yield hub

    # --- what it leaves --------------------------------------------------------------------------------

    def output(self, name: str, value: str) -> None:
        """Set an output of the step. A value of several lines is kept as it is."""
        end = f"end-{secrets.token_hex(16)}"  # nothing in the value can be it
        self._append("GITHUB_OUTPUT", f"{name}<<{end}\n{value}\n{end}\n")

    def summarize(self, markdown: str) -> None:
        """Add Markdown to the job's summary; what would not fit is left out, and said."""
        room = MAX_SUMMARY_BYTES - self._summarized - 200
        data = f"{markdown}\n".encode()
        if len(data) > room:
            data = data[: max(0, room)].decode(errors="ignore").encode() + b"\n\n... the rest is in the log\n"
        self._summarized += len(data)
        self._append("GITHUB_STEP_SUMMARY", data.decode())

    def keep(self, file: str, text: str) -> None:
        """Write a file of the artifact. The outputs `artifact` and `result` name its folders."""
        from reconciler.io.files import write_whole

        write_whole(self.result_folder / file, text)

    @cached_property
    def result_folder(self) -> Path:
        artifact = self._make_folder("artifact")
        folder = artifact / f"{RESULT_PREFIX}{self.name}"
        folder.mkdir()
        self.output("artifact", str(artifact))
        self.output("result", str(folder))
        return folder

    def warn(self, text: str) -> None:
        """Show a warning in the log and as an annotation; the step goes on."""
        from reconciler.cli.annotations import annotate
        from reconciler.cli.output import say
        from reconciler.text.escape import for_terminal
        from reconciler.views.annotations import render_warning

        say(for_terminal(text), label="warning")
        annotate(render_warning(text))

    def mask(self, *values: str) -> None:
        """Have the runner hide these values in everything that is shown later."""
        write_aside(encode_masks(value for value in values if value))

    _summarized = 0

    def _make_folder(self, prefix: str) -> Path:
        import tempfile

        top = Path(self.environ.get("RUNNER_TEMP") or tempfile.gettempdir()) / "reconciler"
        top.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=top))

    def _append(self, variable: str, text: str) -> None:
        path = self.environ.get(variable)
        if path:
            with Path(path).open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)


def reach_state_branch(environ: MutableMapping[str, str], step: Step) -> None:
    """Have git use GITHUB_TOKEN for this server, as checkout would: it stands in no file, only in this process.

    The first, empty header drops one that a checkout kept: GitHub refuses two (400).
    """
    token, server = environ.get("GITHUB_TOKEN", ""), environ.get("GITHUB_SERVER_URL", "https://github.com")
    if not token:
        return
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    step.mask(basic)
    key = f"http.{server.rstrip('/')}/.extraheader"
    environ.update(
        GIT_CONFIG_COUNT="2",
        GIT_CONFIG_KEY_0=key,
        GIT_CONFIG_VALUE_0="",
        GIT_CONFIG_KEY_1=key,
        GIT_CONFIG_VALUE_1=f"Authorization: Basic {basic}",
    )


def run_step(name: str, work: Callable[[Step], int], environ: Mapping[str, str] | None = None) -> int:
    """Run one step: its exit code as output `exit-code`; 2 (changes, drift) becomes 0, as it is an answer.

    Raises what `work` raises, once the job's summary says it.
    """
    step = Step(name, dict(os.environ if environ is None else environ))
    reach_state_branch(step.environ, step)
    try:
        code = work(step)
    except InputError as error:
        _explain(step, name, error, ExitCode.INVALID_INPUT)
        raise
    step.output("exit-code", str(int(code)))
    return ExitCode.DONE if code == ExitCode.CHANGES else code


def _explain(step: Step, name: str, error: Exception, code: ExitCode) -> None:
    from reconciler.views.github_comment import render_failure

    step.output("exit-code", str(int(code)))
    step.summarize(render_failure(f"{name}: exit {int(code)}", str(error)))
