"""A bare repository in a temporary folder. It reaches a remote of the user's checkout, and never changes the checkout.

HEAD, index, work tree, refs and objects of the checkout can't be changed from here, and its hooks never run. The
configuration of the remote is read from the checkout and passed on in variables; none of it is written to the disk.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from reconciler.io.git.checkout import Checkout
from reconciler.io.git.command import TIMEOUT_S, GitUnusable, check_version, hide_user_info, run_git
from reconciler.io.temporary import TemporaryFolder

# The remote's name in the temporary repository. It differs from the user's name, so that of the user's configuration
# of that remote only the passed keys apply: its keys `uploadpack`, `receivepack` and `vcs` name programs.
REMOTE = "reconciler-remote"

logger = logging.getLogger(__name__)

# The keys that say how to reach a remote; no other key is passed on.
_BORROWED = re.compile(r"(?:url|http|credential|ssh|protocol)\..*|core\.(?:sshcommand|askpass|gitproxy)")
_OF_THE_REMOTE = ("proxy", "proxyauthmethod")
# Keys whose values form a list. git reads the user's own files here too, but not those that `includeIf` adds for the
# checkout. So each list is first emptied by an empty value, and then filled with the checkout's values.
_LISTS = re.compile(r"http\.(?:.*\.)?(?:extraheader|curloptresolve)|credential\.(?:.*\.)?helper")
_OWN = (
    *(("core.hooksPath", os.devnull), ("push.gpgSign", "false"), ("gc.auto", "0"), ("maintenance.auto", "false")),
    # a larger blob is never read here: git writes it to the disk in pieces, where it would hold it in memory
    *(("core.bigFileThreshold", "16m"), ("transfer.unpackLimit", "1")),
    *(("core.fsync", "all"), ("user.name", "reconciler"), ("user.email", "reconciler@localhost")),
)
_NETWORK = ("ls-remote", "fetch", "push")


class ScratchRepository:
    """Commands in the temporary repository, which lives as long as this object. `remote` is a name in the checkout."""

    def __init__(self, folder: Path, environ: Mapping[str, str], remote: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._folder = folder
        self._environ = environ
        self._remote = remote

    @property
    def has_remote(self) -> bool:
        """Return whether the checkout has the remote. Raises: GitUnusable, GitFailed."""
        return self._address is not None

    @property
    def has_push_address(self) -> bool:
        """Return whether the user's git would push to another address than the one that it fetches from."""
        return any(key == f"remote.{self._remote}.pushurl" or key.endswith(".pushinsteadof") for key, _ in self._config)

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a command in the temporary repository. Raises: GitFailed, GitUnusable."""
        if arguments[0] in _NETWORK:
            words = [self._remote if word == REMOTE else word for word in arguments if not word.startswith("--")]
            logger.info("git %s (%s)", " ".join(words), hide_user_info(self._address or "no address"))
        command = [f"--git-dir={self._folder_of_git.name}", *arguments]
        return run_git(command, self._checkout.top, self._working_environ, stdin=stdin, timeout_s=self._timeout_s)

    def close(self) -> None:
        """Remove the temporary repository."""
        if "_folder_of_git" in self.__dict__:
            self._folder_of_git.cleanup()

    @cached_property
    def _checkout(self) -> Checkout:
        check_version(self._environ)
        checkout = Checkout(self._folder, self._environ)
        checkout.check()
        return checkout

    @cached_property
    def _config(self) -> list[tuple[str, str]]:
        return self._checkout.list_config()

    @cached_property
    def _address(self) -> str | None:
        """Return the address that git fetches from: the remote's first URL in the configuration, before `insteadOf`."""
        urls: list[str] = []
        for key, value in self._config:
            if key == f"remote.{self._remote}.url":
                urls = [*urls, value] if value else []
        return urls[0] if urls else None

    @cached_property
    def _folder_of_git(self) -> TemporaryFolder:
        config = dict(self._config)  # read first: without a checkout no folder is made
        try:
            made = TemporaryFolder("reconciler-git-")
        except OSError as error:
            raise GitUnusable(
                f"no temporary folder can be made for git: {error.strerror}. Set TMPDIR to a folder that can be "
                "written, then run again"
            ) from error
        kind = config.get("extensions.objectformat", "sha1")
        command = ["init", "--quiet", "--bare", "--template=", f"--object-format={kind}", made.name]
        run_git(command, self._checkout.top, self._environ)
        return made

    @cached_property
    def _working_environ(self) -> dict[str, str]:
        environ = {**self._environ}
        # its entries are already in the list that was read from the checkout
        environ.pop("GIT_CONFIG_PARAMETERS", None)
        borrowed = list(self._borrowed())
        empty = {key: "" for key, _ in borrowed if _LISTS.fullmatch(key)}
        entries = [*empty.items(), *borrowed, *_OWN]
        for number, (key, value) in enumerate(entries):
            environ[f"GIT_CONFIG_KEY_{number}"] = key
            environ[f"GIT_CONFIG_VALUE_{number}"] = value
        environ["GIT_CONFIG_COUNT"] = str(len(entries))
        return environ

    def _borrowed(self) -> Iterator[tuple[str, str]]:
        for key, value in self._config:
            if _BORROWED.fullmatch(key):
                yield key, value
            elif key in {f"remote.{self._remote}.{name}" for name in _OF_THE_REMOTE}:
                yield f"remote.{REMOTE}.{key.rpartition('.')[2]}", value
        if self._address is not None:
            # git applies insteadOf, but never pushInsteadOf, to an explicit pushurl, so fetch and push use one address
            yield f"remote.{REMOTE}.url", self._address
            yield f"remote.{REMOTE}.pushurl", self._address
