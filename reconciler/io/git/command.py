"""git as a program: run beside the user's repository, never in it (CONTRACT §7).

Everything happens in a bare repository in a temporary folder, which borrows from the user's one what it takes to
reach the remote: its address, and the credentials that a checkout left in its configuration. So HEAD, index, work
tree, refs and objects of the user's repository can't be touched, nor its hooks run.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from reconciler.errors import Unreachable

TIMEOUT_S = 120.0  # a push of ten thousand documents takes seconds; what takes this long waits for somebody to type
IDENTITY = {"NAME": "reconciler", "EMAIL": "reconciler@localhost"}

# of the user's configuration: how to reach the remote, and nothing else
_BORROWED = re.compile(
    r"(url|http|https|credential|ssh|protocol)\..*|core\.(sshcommand|askpass|gitproxy)"
    r"|remote\..*\.(url|pushurl|proxy|proxyauthmethod|vcs|receivepack|uploadpack)",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"://[^@/\s]*@")


class GitFailed(Exception):
    """git ended with an error; `reason` is its last word on it, without what may be a password in an address."""

    def __init__(self, code: int, output: str, stderr: str) -> None:
        self.code = code
        self.output = output
        self.reason = summarize(stderr)
        super().__init__(self.reason)


def summarize(stderr: str) -> str:
    """The most telling line that git printed, without user information in URLs."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ERROR:"))]
    return _USER_INFO.sub("://", (telling or lines or ["git gave no reason"])[-1 if not telling else 0])[:300]


class Git:
    """Commands in the temporary repository, which lives as long as this object."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        # what would lead git to another repository, index or object store than the one named here
        self._environ = {
            name: value
            for name, value in environ.items()
            if not name.startswith("GIT_")
            or name.startswith(("GIT_SSH", "GIT_ASKPASS", "GIT_SSL", "GIT_TRACE", "GIT_CONFIG"))
        }
        self._environ |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        self._environ |= {
            f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in IDENTITY.items()
        }

    @cached_property
    def top(self) -> Path:
        """The user's repository. Raises Unreachable where there is none."""
        try:
            found = self._run(["git", "rev-parse", "--show-toplevel"], self._folder, self._environ)
        except GitFailed as error:
            raise Unreachable(
                f"state: a git: store needs a git repository around {self._folder}: {error.reason}. "
                "Run in a checkout, or set `state` to a folder"
            ) from error
        return Path(found.decode().rstrip("\n"))

    @cached_property
    def _repository(self) -> tempfile.TemporaryDirectory[str]:
        top = self.top  # first: where there is none, nothing is made
        try:
            made = tempfile.TemporaryDirectory(prefix="reconciler-git-")
        except OSError as error:
            raise Unreachable(
                f"state: no temporary folder can be made for git: {error.strerror}. Set TMPDIR to a folder that can be "
                "written, then run again"
            ) from error
        self._run(["git", "init", "--quiet", "--bare", "--template=", made.name], top, self._environ)
        return made

    @cached_property
    def _working_environ(self) -> dict[str, str]:
        """With the borrowed configuration, as variables: nothing of it is written to the disk again."""
        environ = dict(self._environ)
        own = [("core.hooksPath", os.devnull), ("push.gpgSign", "false"), ("gc.auto", "0"), ("core.fsync", "all")]
        # in git's own order: variables have the last word, so that an empty header there drops a checkout's
        entries = [*self._borrowed(), *self._given(), *own]
        for place, (key, value) in enumerate(entries):
            environ[f"GIT_CONFIG_KEY_{place}"] = key
            environ[f"GIT_CONFIG_VALUE_{place}"] = value
        environ["GIT_CONFIG_COUNT"] = str(len(entries))
        return environ

    def _given(self) -> list[tuple[str, str]]:
        """The configuration in variables (git's GIT_CONFIG_COUNT)."""
        count = int(self._environ.get("GIT_CONFIG_COUNT", "0") or 0)
        pairs = ((self._environ.get(f"GIT_CONFIG_{part}_{at}", "") for part in ("KEY", "VALUE")) for at in range(count))
        return [(key, value) for key, value in pairs]

    def _borrowed(self) -> Iterator[tuple[str, str]]:
        listed = self._run(["git", "config", "--list", "--show-scope", "--includes", "-z"], self.top, self._environ)
        fields = listed.decode(errors="surrogateescape").split("\0")
        for scope, entry in zip(fields[::2], fields[1::2], strict=False):
            key, _, value = entry.partition("\n")
            if scope in ("local", "worktree") and _BORROWED.fullmatch(key):
                yield key, value

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Runs a command in the temporary repository. Raises GitFailed."""
        command = ["git", f"--git-dir={self._repository.name}", *arguments]
        return self._run(command, self.top, self._working_environ, stdin)

    def has_remote(self, name: str) -> bool:
        try:
            self.run("config", "--get-regexp", rf"^remote\.{re.escape(name)}\.url$")
        except GitFailed:
            return False
        return True

    @staticmethod
    def _run(command: list[str], folder: Path, environ: Mapping[str, str], stdin: bytes = b"") -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - our own words; names are checked before they get here
                command, cwd=folder, env=dict(environ), input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise GitFailed(-1, "", f"fatal: no answer within {TIMEOUT_S:g} s") from error
        except OSError as error:
            raise Unreachable(
                f"state: git can't be run: {error.strerror}. Install git, or set `state` to a folder"
            ) from error
        if done.returncode != 0:
            raise GitFailed(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        return done.stdout

    def close(self) -> None:
        if "_repository" in self.__dict__:
            self._repository.cleanup()
