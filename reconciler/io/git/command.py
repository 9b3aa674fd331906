"""The only runner of git: which program it is, its environment, and the reason of a failure.

Every run uses the absolute path of the program, ignores repositories that are made of plain files
(`safe.bareRepository=explicit`), never asks on the terminal, and has English messages.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT_S = 120.0  # a push of ten thousand documents takes seconds; a longer one waits for input that never comes
QUICK_TIMEOUT_S = 10.0  # for commands that read the local repository alone
OLDEST = (2, 31)  # GIT_CONFIG_COUNT, which carries the configuration
REASON_LENGTH = 500
NO_REASON = "git gave no reason"
MAX_RUNS = 3  # of a command that signals end; a terminal that closes sends two
LINES_BEFORE = 2  # lines of ssh or a helper before git's error, which belong to the reason

logger = logging.getLogger(__name__)

_PROGRAM = "git.exe" if os.name == "nt" else "git"
# The variables that say how to reach a remote, or that help to find an error. Other variables could make git use
# another repository, index or object store.
_KEPT = (
    *("GIT_SSH", "GIT_ASKPASS", "GIT_SSL", "GIT_HTTP_", "GIT_PROXY", "GIT_CURL_VERBOSE", "GIT_TRACE"),
    *("GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL", "GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES"),
)
_USER_INFO = re.compile(r"://[^/\s]*@")  # up to the last @ before the path: a password may hold one
_ENDED_BY_CONSOLE = 0xC000013A  # the exit code on Windows, where Ctrl-C reaches each process of the console
_NOISE = re.compile(
    r"To |From |hint:|warning:|Warning:|@|Everything up-to-date|error: failed to push some refs"
    r"|Please make sure you have the correct access rights|and the repository exists"
    r"|[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}"  # GIT_TRACE
)
_PROGRESS = re.compile(
    r"(?:Enumerating|Counting|Compressing|Writing|Receiving) objects|(?:Resolving|Checking) |Total \d"
)
_PREFIX = re.compile(r"^(?:(?:fatal|error|ERROR|remote): ?)+")
_UNREAD = "Could not read from remote repository."  # what git adds to ssh's own reason

_new_enough: set[str] = set()  # programs whose version was asked by this process


class GitError(Exception):
    """git gave no result."""


class GitUnusable(GitError):
    """git can't be used here at all. The text says why, and what to do."""


class GitFailed(GitError):
    """git ended with an error. `text` is all that it printed; `reason` is safe to show."""

    def __init__(self, code: int, output: str, stderr: str) -> None:
        self.code = code
        self.output = output
        self.text = output + stderr
        self.reason = summarize(stderr)
        super().__init__(self.reason)


def hide_user_info(text: str) -> str:
    """Return the text without the user information of its URLs, which may be a password."""
    return _USER_INFO.sub("://", text)


def summarize(stderr: str) -> str:
    """Return one line with the lines of git, ssh and the remote that give a reason, without user information."""
    lines = [" ".join(line.split()) for line in stderr.splitlines()]
    remote = [_PREFIX.sub("", line) for line in lines if line.startswith("remote:")]
    reasons = [line for line in remote if line and not _PROGRESS.match(line)]
    reasons += _find_cause(
        [line for line in lines if line and not line.startswith("remote:") and not _NOISE.match(line)]
    )
    if len(reasons) > 1:
        reasons = [line for line in reasons if line != _UNREAD] or reasons
    return hide_user_info("; ".join(dict.fromkeys(reasons)))[:REASON_LENGTH] or NO_REASON


def _find_cause(lines: list[str]) -> list[str]:
    """Return git's first error, which causes the later ones, and the lines of ssh or a helper just before it."""
    first = next((number for number, line in enumerate(lines) if _PREFIX.match(line)), len(lines) - 1)
    return [_PREFIX.sub("", line) for line in lines[max(0, first - LINES_BEFORE) : first + 1]]


def find_program(environ: Mapping[str, str]) -> str:
    """Return the absolute path of git, searched only in the absolute folders of PATH.

    shutil.which also searches the working directory on Windows, so it would find a git.exe of the checkout.

    Raises: GitUnusable.
    """
    for folder in _absolute_folders(environ):
        program = os.path.join(folder, _PROGRAM)  # noqa: PTH118 - a path for the system, not for us
        if os.path.isfile(program) and os.access(program, os.X_OK):  # noqa: PTH113 - never raises
            return program
    raise GitUnusable("git was not found on PATH. Install git, or set `state` to a folder")


def _absolute_folders(environ: Mapping[str, str]) -> list[str]:
    folders = [entry.strip('"') for entry in environ.get("PATH", os.defpath).split(os.pathsep)]
    return [folder for folder in folders if Path(folder).is_absolute()]


def check_version(environ: Mapping[str, str]) -> None:
    """Ask git for its version, once per process. Raises: GitUnusable if it is too old for the git state."""
    program = find_program(environ)
    if program not in _new_enough:
        read_version(environ)


def read_version(environ: Mapping[str, str]) -> str:
    """Return git's version, such as 2.39.2. Raises: GitUnusable if there is none, or if it is too old."""
    program = find_program(environ)
    try:
        answer = run_git(["--version"], Path(program).parent, environ, timeout_s=QUICK_TIMEOUT_S)
    except GitFailed as error:
        advice = "Correct that file" if "config" in error.reason else "Install git"
        raise GitUnusable(f"{program} is not usable: {error.reason}. {advice}, or set `state` to a folder") from error
    found = re.match(r"git version ((\d+)\.(\d+)[\w.-]*)", answer.decode(errors="replace"))
    if found is None or (int(found[2]), int(found[3])) < OLDEST:
        version = f"git {found[1]} at {program} is too old" if found else f"{program} does not say its version"
        raise GitUnusable(
            f"{version}: the git state needs {OLDEST[0]}.{OLDEST[1]} or later. Install that, or set `state` to a folder"
        )
    _new_enough.add(program)
    return found[1]


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return git's environment, without variables that point elsewhere or let it ask on the terminal."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name.startswith(_KEPT)}
    # git finds ssh and its helpers by PATH; a relative folder in it could be one of the checkout
    kept["PATH"] = os.pathsep.join(_absolute_folders(environ))
    return kept | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def run_git(
    arguments: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    *,
    stdin: bytes = b"",
    timeout_s: float = QUICK_TIMEOUT_S,
) -> bytes:
    """Run git in `folder` and return what it printed. Raises: GitFailed, GitUnusable.

    Ctrl-C in a terminal, a terminal that closes, and some supervisors send their signal to git too, while this program
    still has to record PUTs in flight. So a command that a signal ended is run again; all commands here may be
    repeated.
    """
    program = find_program(environ)
    command = [program, "-c", "safe.bareRepository=explicit", *arguments]
    logger.debug("run in %s: git %s", folder, hide_user_info(" ".join(arguments)))
    for left in reversed(range(MAX_RUNS)):
        try:
            done = subprocess.run(  # noqa: S603 - our own words; names are checked before they get here
                command,
                cwd=folder,
                env=clean_environ(environ),
                input=stdin,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise GitFailed(-1, "", f"fatal: no answer within {timeout_s:g} s") from error
        except OSError as error:
            if not os.path.isdir(folder):  # noqa: PTH112 - never raises
                raise GitUnusable(
                    f"{folder} is gone, and git works there. Make a checkout again, then run again"
                ) from error
            raise GitUnusable(
                f"{program} can't be run: {error.strerror}. Install git, or set `state` to a folder"
            ) from error
        if not _was_ended(done.returncode) or not left:
            break
        logger.info("git %s was ended by a signal: run it again", arguments[0])
    return _judge(done, arguments[0])


def _was_ended(code: int) -> bool:
    return code < 0 or code == _ENDED_BY_CONSOLE


def _judge(done: subprocess.CompletedProcess[bytes], name: str) -> bytes:
    stderr = done.stderr.decode(errors="replace")
    if stderr:
        logger.debug("git %s said: %s", name, summarize(stderr))
    if _was_ended(done.returncode):
        stderr += f"\nfatal: git was ended from outside {MAX_RUNS} times (code {done.returncode})"
    if done.returncode != 0:
        raise GitFailed(done.returncode, done.stdout.decode(errors="replace"), stderr)
    return done.stdout
