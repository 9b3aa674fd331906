"""The frame of one step of a GitHub workflow: its outputs, its part of the summary, and the artifact.

The runner sends signals to the step's process (docs/github.md), so everything happens in it: it reaches the branch of
the state with GITHUB_TOKEN, masks secret values, and writes outputs and summary.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from msgspec.structs import replace

from reconciler.cli.annotations import annotate, is_runner
from reconciler.cli.exitcode import ExitCode, describe_error, of_error, of_result
from reconciler.cli.output import warn, write_aside
from reconciler.cli.session import GivenFiles, Interrupts, Session
from reconciler.core.workflow.names import SECRETS_SECRET, TOKENS_SECRET
from reconciler.core.workflow.rerun import RunAttempt
from reconciler.errors import InputError, OutputFailed
from reconciler.formats.runner import encode_masks

if TYPE_CHECKING:
    from reconciler.github.hub import RunHub
    from reconciler.github.run import WorkflowRun
    from reconciler.model import RunResult

KNOWN_AFTER_S = 9.0  # after the first signal; the runner kills the process one second later
MAX_SUMMARY_BYTES = 1024 * 1024  # of a step; GitHub shows an error in place of a longer one
_CUT = b"\n\n... the rest is in the log\n"
MAX_FAILURE_CHARS = 20_000  # of the output `failure`, which the last job of a run shows
_NOT_IN_A_NAME = re.compile(r"[^\w.-]")  # of a file or an artifact
RESULT_PREFIX = "result-"  # of the artifact's folder; the job's name follows
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_OUTPUT, _SUMMARY, _TEMP = "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "RUNNER_TEMP"


@dataclass
class Step:
    """One step of a job.

    `name` is the job's, for the artifact. `environ` has the runner's variables without the secrets that were taken.
    """

    name: str
    environ: MutableMapping[str, str]
    _parts: list[str] = field(default_factory=list, init=False)  # of the summary
    _summary_start: int | None = field(default=None, init=False)  # its position in the file
    _sessions: list[Session] = field(default_factory=list, init=False)

    @cached_property
    def run(self) -> WorkflowRun:
        """The workflow run of this step. Raises InputError outside a workflow."""
        from reconciler.github.run import find_run

        return find_run(self.environ)

    @cached_property
    def session(self) -> Session:
        """The settings, manifests and state of the working directory, as for any command."""
        return self.make_session()

    def make_session(self, **more: Any) -> Session:
        """Return a new session, with the present variables.

        The runner sends SIGTERM, which changes nothing, 7.5 s after SIGINT, and kills the process 2.5 s later.
        """
        from reconciler.run.context import Interim

        interrupts = Interrupts(second_ends=False, interim=Interim(KNOWN_AFTER_S, self.leave_result))
        session = Session(environ=dict(self.environ), interrupts=interrupts, on_runner=True, **more)
        self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close what the step's sessions opened."""
        for session in self._sessions:
            session.close()

    @property
    def attempt(self) -> int:
        """The number of this attempt of the run, from 1."""
        return _read_number(self.environ, "GITHUB_RUN_ATTEMPT") or 1

    @property
    def run_attempt(self) -> RunAttempt:
        """Return this attempt, as the state's documents name it."""
        return RunAttempt(self.run.run_id, self.attempt)

    def take(self, name: str) -> str:
        """Return a secret's value and remove it from the variables, so that no started program gets it."""
        return self.environ.pop(name, "")

    def take_tokens(self, given: GivenFiles, name: str = TOKENS_SECRET) -> GivenFiles:
        """Return `given` with the tokens in the variable PLUG_TOKENS. `name` is what messages call them."""
        from reconciler.plug.secret_files import parse_tokens

        given, text = replace(given, tokens_name=name), self.take(TOKENS_SECRET)
        if not text:
            return given
        try:
            return replace(given, tokens=parse_tokens(text, name))
        except InputError as error:
            return replace(given, tokens={}, tokens_problems=error.problems)

    def take_secrets(self, given: GivenFiles, name: str = SECRETS_SECRET) -> GivenFiles:
        """Return `given` with the secrets in the variable PLUG_SECRETS. `name` is what messages call them."""
        from reconciler.plug.secret_files import SecretValues, parse_secrets

        text = self.take(SECRETS_SECRET)
        if not text:
            return given
        try:
            return replace(given, secrets=parse_secrets(text, name))
        except InputError as error:
            return replace(given, secrets=SecretValues(), secrets_problems=error.problems)

    def is_on(self, name: str) -> bool:
        """Return whether a variable of the repository, such as PLUG_STRICT, is `true`."""
        return self.environ.get(name, "").strip().lower() == "true"

    @contextmanager
    def open_hub(self) -> Iterator[RunHub]:
        """Yield GitHub, with GITHUB_TOKEN. Raises InputError without one."""
        from reconciler.github.hub import open_hub

        with open_hub(self.environ) as hub:
            yield hub

    # --- output: each call raises OutputFailed if the runner's file or folder can't be written ---------------

    def check_places(self) -> None:
        """Raise InputError if the runner's files or folder can't be written: after an apply it would be too late."""
        try:
            for variable in (_OUTPUT, _SUMMARY):
                with self._open(variable):
                    pass
            if self.environ.get(_TEMP):
                self._make_top()
        except OutputFailed as error:
            raise InputError(f"{error} (GitHub's runner sets it otherwise)") from error

    def output(self, name: str, value: str) -> None:
        """Set an output of the step. Its value may have several lines."""
        end = f"end-{secrets.token_hex(16)}"  # nothing in the value can be it
        with self._open(_OUTPUT) as file:
            if file is not None:
                file.write(f"{name}<<{end}\n{value}\n{end}\n".encode(errors="backslashreplace"))

    def summarize(self, markdown: str) -> None:
        """Add Markdown to the job's summary. What doesn't fit is left out, and a line says so."""
        self._write_summary([*self._parts, markdown])

    def summarize_first(self, markdown: str) -> None:
        """Add Markdown before what this step has written into the job's summary."""
        self._write_summary([markdown, *self._parts])

    def restart_summary(self) -> None:
        """Remove what this step has written into the job's summary, to replace it."""
        self._write_summary([])

    def _write_summary(self, parts: list[str]) -> None:
        self._parts = parts
        data = "".join(f"{part}\n" for part in parts).encode()
        room = MAX_SUMMARY_BYTES - len(_CUT)
        if len(data) > room:
            data = data[:room].decode(errors="ignore").encode() + _CUT
        with self._open(_SUMMARY) as file:
            if file is None:
                return
            if self._summary_start is None:  # the text that another program has written before stays
                self._summary_start = file.tell()
            file.truncate(self._summary_start)
            file.write(data)

    def keep(self, file: str, text: str) -> None:
        """Write a file of the artifact. The outputs `artifact` and `result` name its folders."""
        from reconciler.io.files import write_whole

        with _naming(_TEMP, self.result_folder):
            write_whole(self.result_folder / file, text)

    @cached_property
    def result_folder(self) -> Path:
        """The folder with the step's result, which is the only one in the artifact."""
        top = self._make_top()
        with _naming(_TEMP, top):
            artifact = Path(tempfile.mkdtemp(prefix="artifact-", dir=top))
            folder = artifact / f"{RESULT_PREFIX}{_NOT_IN_A_NAME.sub('_', self.name)}"
            folder.mkdir()
        self.output("artifact", str(artifact))
        self.output("result", str(folder))
        return folder

    def warn(self, text: str) -> None:
        """Show a warning in the log, and on a runner as an annotation. The step continues."""
        from reconciler.views.annotations import render_warning

        warn(text)
        annotate(self.environ, lambda: render_warning(text))

    def leave_result(self, result: RunResult) -> None:
        """Write the result of an apply, in place of an earlier one: files, the exit code, and the job's summary."""
        from reconciler.formats.result_file import encode_result
        from reconciler.views import markdown

        text = markdown.render_result(result)
        self.keep("result.json", encode_result(result))
        self.keep("result.md", text)
        self.output("exit-code", str(int(of_result(result))))
        self.restart_summary()
        self.summarize(text)

    def mask_secrets(self, session: Session) -> None:
        """Mask each token and secret that the session was given, or that a file of its settings has."""
        files = session.secret_files
        self.mask(*(one.reveal() for one in (*files.tokens.values(), *files.secrets.all_values())))

    def mask(self, *values: str) -> None:
        """Have the runner mask these values in all later output. Elsewhere the mask itself would show them."""
        if is_runner(self.environ):
            write_aside(encode_masks(value for value in values if value))

    def _make_top(self) -> Path:
        """Make the folder of all steps of the job, if it is missing."""
        top = Path(self.environ.get(_TEMP) or tempfile.gettempdir()) / "reconciler"
        with _naming(_TEMP, top):
            top.mkdir(parents=True, exist_ok=True)
        return top

    @contextmanager
    def _open(self, variable: str) -> Iterator[IO[bytes] | None]:
        """Open a file of the runner to append to it; None if the variable is not set."""
        path = self.environ.get(variable)
        if not path:
            yield None
            return
        with _naming(variable, path), Path(path).open("ab") as file:
            yield file


@contextmanager
def _naming(variable: str, path: str | Path) -> Iterator[None]:
    """Raise OutputFailed, which names the variable and the path, for an OSError within the block."""
    try:
        yield
    except OSError as error:
        raise OutputFailed(f"{variable}: {path} can't be written: {error.strerror or error}") from error


def reach_state_branch(step: Step) -> None:
    """Have git use GITHUB_TOKEN for this server, as checkout would. It is in no file, only in this process.

    The first, empty header removes one that a checkout kept, because GitHub refuses two (400). Configuration that the
    runner gives git in the same way stays.
    """
    environ = step.environ
    token, server = environ.get("GITHUB_TOKEN", ""), environ.get("GITHUB_SERVER_URL", "https://github.com")
    if not token:
        return
    basic = base64.b64encode(f"x-access-token:{token}".encode(errors="surrogateescape")).decode()
    step.mask(basic)
    key = f"http.{server.rstrip('/')}/.extraheader"
    first = _read_number(environ, "GIT_CONFIG_COUNT")
    for number, value in enumerate(("", f"Authorization: Basic {basic}"), first):
        environ[f"GIT_CONFIG_KEY_{number}"] = key
        environ[f"GIT_CONFIG_VALUE_{number}"] = value
    environ["GIT_CONFIG_COUNT"] = str(first + 2)


def _read_number(environ: Mapping[str, str], name: str) -> int:
    """Return the whole number in a variable; 0 without one."""
    text = environ.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else 0


def run_step(name: str, work: Callable[[Step], int], environ: Mapping[str, str] | None = None) -> int:
    """Run one step, and set its exit code as output `exit-code`; 2 (changes, drift) is returned as 0.

    Raises what `work` raises, after it was written into the job's summary and the output `failure`.
    """
    step = Step(name, dict(os.environ if environ is None else environ))
    reach_state_branch(step)
    step.check_places()
    try:
        code = work(step)
    except Exception as error:
        with suppress(OutputFailed):  # the error itself is reported in the log
            _explain(step, error)
        raise
    finally:
        step.close()
    step.output("exit-code", str(int(code)))
    return ExitCode.DONE if code == ExitCode.CHANGES else code


_TITLES = {
    ExitCode.INVALID_INPUT: "Refused",
    ExitCode.STATE_TROUBLE: "Stopped by the state",
    ExitCode.INTERRUPTED: "Interrupted",
}


def _explain(step: Step, error: Exception) -> None:
    """Write the error that ended the step. For our own fault only its kind, as the message may hold a secret value."""
    from reconciler.views.markdown_failure import render_failure

    code, text = of_error(error), describe_error(error)
    step.output("exit-code", str(int(code)))
    step.output("failure", text if len(text) <= MAX_FAILURE_CHARS else f"{text[:MAX_FAILURE_CHARS]} …")
    step.summarize_first(render_failure(_TITLES.get(code, "Failed"), text))
