"""State on a separate branch of a git repository, for example the one with the manifests (docs/state.md).

The compare-and-swap is git's own: a push that names the commit which it replaces. One commit and one push carry a
whole batch. The commit's message says who ran it, which run it was, and the outcome of each environment, so that
`git log -p BRANCH` is the audit trail.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec import Struct, field

from reconciler.core.where import find_near_names
from reconciler.errors import Conflict, Corrupt, StateError, Unreachable
from reconciler.io.git.checkout import advise_ownership
from reconciler.io.git.command import NO_REASON, GitError, GitFailed, GitUnusable
from reconciler.io.git.scratch import REMOTE, ScratchRepository
from reconciler.io.git.tip import find_commit
from reconciler.model import Document, Original, Snapshot, Stored
from reconciler.ports import Changes, Shrink, Write, WriteAccess, WriteResult, keep_head
from reconciler.state.changes import Found, find_changes
from reconciler.state.document import (
    MAX_BYTES,
    SUFFIX,
    Decode,
    decode_document,
    decode_head,
    decode_original,
    encode_write,
    make_too_large,
    read_each,
    version_of,
)
from reconciler.text.commit_message import describe_commit

T = TypeVar("T")

logger = logging.getLogger(__name__)

MAX_PUSHES = 12  # pushes in a row that lose a race; after each the wait is a little longer, at random
MAX_FAILED_PUSHES = 3  # pushes in a row that fail with a transient error although the branch has not moved
BACKOFF_S = 0.2
BACKOFF_CAP_S = 5.0
BRANCHES = "refs/heads/"
LOCAL_REF = "refs/heads/state"
NEXT_REF = "refs/heads/next"
MAX_HEADS_BYTES = 4 * 1024 * 1024
GATHER_S = 4.0  # an outcome is durable within 5 s (docs/contract.md#intent-put-outcome)

# A transient failure: the push lost a race, the server could not serialize it with another one, or the connection
# broke. Any other failure is a refusal, which the next attempt would get again.
_TRANSIENT = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to (update|lock)|incorrect old value|"
    r"reference already exists|remote ref updated since checkout|is at [0-9a-f]+ but expected|"
    r"hung up unexpectedly|unexpected disconnect|early EOF|Connection (reset|refused|timed out|closed)|"
    r"Could not resolve host|(HTTP|error:) (5\d\d|408|429)|Internal Server Error"
)
_PERMANENT = re.compile(r"exists; cannot create|(HTTP|error:) 40[134]")  # also if the text has transient parts
_REJECTION = re.compile(r"\[(?:remote )?rejected\] \((.*)\)")
_NO_ROOM = re.compile(r"No space left|Disk quota|Read-only file system")
_TWO_REFS = re.compile(r"matches more than one")
_OWN_FILE = re.compile(r"(README|LICENSE|\.)[^/]*")


class Blob(Struct, frozen=True):
    """A document by git's name for it, which was not read yet."""

    object_id: str
    size_bytes: int


class Tip(Struct, frozen=True):
    """The branch as last seen. `commit` is None if there is no branch.

    `blobs` has every document by the environment's name; `contents` has those that were read.
    """

    commit: str | None = None
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


class Encoded(Struct, frozen=True):
    """A write with the bytes that it stores, None for a removal. `fault` says why there are none to store."""

    write: Write
    data: bytes | None
    fault: StateError | None = None


class Git(Protocol):
    """The part of a ScratchRepository that the store uses."""

    @property
    def has_remote(self) -> bool: ...

    @property
    def has_push_address(self) -> bool: ...

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes: ...

    def close(self) -> None: ...


class GitStore:
    """Documents on `branch` of the remote named `remote`. A missing branch is an empty state."""

    def __init__(
        self,
        folder: Path,
        remote: str,
        branch: str,
        *,
        environ: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        git: Git | None = None,
    ) -> None:
        """Open nothing yet. `git` replaces the temporary repository that is made for the checkout in `folder`."""
        self._git = git or ScratchRepository(folder, os.environ if environ is None else environ, remote)
        self._remote = remote
        self._branch = branch
        self._sleep = sleep
        self._tip: Tip | None = None
        self._epoch = 0  # grows with each commit of others that was seen, but not with our own pushes
        self._unread = False  # whether names() has seen this tip, and no read has used it yet
        # One command at a time: a worker that lost a race reads again while another worker's push is in flight, and
        # git refuses two fetches into one repository.
        self._lock = threading.RLock()
        self._fetched_at = -math.inf  # when the last look at the remote began, by the monotonic clock

    @property
    def location(self) -> str:
        return f"git:{self._remote}/{self._branch}"

    @property
    def identity(self) -> str:
        """Return the location: the jobs of a run have different checkouts with the same remote."""
        return self.location

    @property
    def gather_s(self) -> float:
        return GATHER_S

    @property
    def is_remote(self) -> bool:
        return True

    @property
    def _ref(self) -> str:
        return f"{BRANCHES}{self._branch}"

    # --- git ---------------------------------------------------------------------------------------

    def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a command of git. Raises: GitFailed; Unreachable if git can't be used at all."""
        with _as_unreachable():
            return self._git.run(*arguments, stdin=stdin)

    def _has_remote(self) -> bool:
        with _as_unreachable():
            return self._git.has_remote

    # --- reading -----------------------------------------------------------------------------------

    def find_near(self) -> str | None:
        try:
            with self._lock:
                listed = self._git.run("ls-remote", "--heads", REMOTE)
        except GitError as error:
            logger.debug("state: the branches beside %s can't be listed: %s", self._branch, error)
            return None
        refs = (line.partition("\t")[2] for line in listed.decode(errors="replace").splitlines())
        return next(iter(find_near_names(self._branch, (ref.removeprefix(BRANCHES) for ref in refs))), None)

    def names(self) -> frozenset[str]:
        with self._lock:
            tip = self._refresh()
            self._unread = True
            return frozenset(tip.blobs)

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        documents = self._read_each(environments, decode_document)
        self._unread = False
        return documents

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        originals = self._read_each(environments, decode_original)
        self._unread = False
        return originals

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        if since is not None and since.epoch == self._epoch:
            # No other run pushed between our pushes. A run that pushes after our last push has seen what we wrote.
            return Changes(since)
        with self._lock:
            tip = self._tip
            if since is None or tip is None:
                tip = self._refresh()
                # The tip stays unread: an apply still reads all of it, and its write conflicts if the branch moved.
                self._unread = True
            marks = {name: blob.object_id for name, blob in tip.blobs.items()}
            found = find_changes(since, marks, self._epoch, lambda changed: self._read_heads(tip, changed), shrink)
        logger.info("state: %s: read %d of %d documents", self.location, len(found.heads), len(marks))
        return found

    def _read_heads(self, tip: Tip, names: Sequence[str]) -> Iterator[Found]:
        """Read the heads a few at a time, and keep no content: a whole fleet's takes hundreds of MiB."""
        for few in _split(tip, names):
            contents = self._fetch_contents(tip, few)
            for name in few:
                blob = tip.blobs[name]
                try:
                    yield self._decode(decode_head, name, blob, contents.get(name)), blob.object_id
                except StateError as fault:
                    yield fault

    def _fetch_tip_unless_seen(self) -> Tip:
        asked_at = time.monotonic()
        with self._lock:
            # A thread that waited while another one fetched uses that tip, so one of many asks the remote.
            seen = self._unread or self._fetched_at >= asked_at
            return self._tip if seen and self._tip is not None else self._refresh()

    def _read_each(self, environments: Iterable[str], decode: Decode[T]) -> dict[str, T]:
        wanted = list(environments)
        tip = self._fetch_tip_unless_seen()
        with self._lock:
            self._load(tip, wanted)

        def read_one(environment: str) -> T | None:
            blob = tip.blobs.get(environment)
            if blob is None:
                return None
            return self._decode(decode, environment, blob, tip.contents.get(environment))

        return read_each(wanted, read_one)

    def _decode(self, decode: Decode[T], name: str, blob: Blob, data: bytes | None) -> T:
        """Decode a document. `data` is None if it is too large and was not read."""
        if data is None:
            raise self._make_too_large(name, blob)
        return decode(data, environment=name, where=self._file(name), older=self._explain_older(name))

    def _make_too_large(self, name: str, blob: Blob) -> Corrupt:
        return make_too_large(name, self._file(name), blob.object_id, self._explain_older(name))

    def _file(self, name: str) -> str:
        return f"{self.location}:{name}{SUFFIX}"

    def _explain_older(self, name: str) -> str:
        """Return the commands that show the older versions of a document."""
        return f"`git fetch {self._remote}`, then `git log -p {self._remote}/{self._branch} -- {name}{SUFFIX}`"

    def _refresh(self) -> Tip:
        """Return the branch as it is now. Raises Unreachable: a fetch that fails never counts as an empty state."""
        error: GitFailed | None = None
        for _ in range(MAX_PUSHES):
            try:
                return self._fetch_tip()
            except GitFailed as failed:
                error = failed
                if "couldn't find remote ref" not in failed.text:
                    break
                # the branch was deleted between ls-remote and fetch: try again
        assert error is not None
        raise self._unreachable(error) from error

    def _fetch_tip(self) -> Tip:
        fetched_at = time.monotonic()
        tip = self._fetch_tip_now()
        self._fetched_at = fetched_at
        return tip

    def _fetch_tip_now(self) -> Tip:
        commit = self._find_commit()
        if self._tip is not None and self._tip.commit == commit:
            return self._tip
        if commit is None:
            self._tip, self._epoch = Tip(), self._epoch + 1
            return self._tip
        self._run(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--depth=1"),
            *("--force", REMOTE, f"{self._ref}:{LOCAL_REF}"),
        )
        fetched = self._run("rev-parse", LOCAL_REF).decode().strip()
        self._tip, self._epoch = Tip(fetched, self._read_tree(fetched)), self._epoch + 1
        return self._tip

    def _find_commit(self) -> str | None:
        if not self._has_remote():
            raise Unreachable(
                f"state: there is no remote named {self._remote!r} here. Add it (`git remote add NAME URL`), "
                "or set `state` to git:REMOTE/BRANCH with one that `git remote -v` lists, or to a folder"
            )
        return find_commit(self._run, self._ref)

    def _read_tree(self, commit: str) -> dict[str, Blob]:
        """Return the documents of a commit with their sizes, without reading them."""
        blobs: dict[str, Blob] = {}
        for entry in self._run("ls-tree", "-z", "--long", commit).decode(errors="surrogateescape").split("\0"):
            if not entry:
                continue
            head, _, name = entry.partition("\t")
            _, kind, object_id, size = head.split()
            if kind == "blob" and name.endswith(SUFFIX) and not name.startswith("."):
                blobs[name.removesuffix(SUFFIX)] = Blob(object_id, int(size))
            elif not _OWN_FILE.fullmatch(name):
                raise Corrupt(
                    f"state: {self.location} holds {name!r}, which is not a state document: a branch of its own is "
                    "needed. If this branch is your state's, remove that file or folder from it with git; else set "
                    "`state` to another branch, such as git:origin/reconciler-state"
                )
        return blobs

    def _load(self, tip: Tip, names: Iterable[str]) -> None:
        """Read the contents of documents into the tip, all in one process; those that are too large are left out."""
        tip.contents.update(self._fetch_contents(tip, sorted({name for name in names if name in tip.blobs})))

    def _fetch_contents(self, tip: Tip, names: Sequence[str]) -> dict[str, bytes]:
        """Return the contents of documents; those that are too large are left out."""
        contents = {name: tip.contents[name] for name in names if name in tip.contents}
        unread = [name for name in names if name not in contents and tip.blobs[name].size_bytes <= MAX_BYTES]
        if not unread:
            return contents
        asked = "".join(f"{tip.blobs[name].object_id}\n" for name in unread)
        try:
            answer = self._run("cat-file", "--batch", stdin=asked.encode())
        except GitFailed as error:
            raise self._unreachable(error) from error
        position = 0
        for name in unread:
            begin = answer.index(b"\n", position) + 1
            end = begin + tip.blobs[name].size_bytes
            contents[name] = answer[begin:end]
            position = end + 1
        return contents

    # --- writing -----------------------------------------------------------------------------------

    def find_write_access(self) -> WriteAccess:
        """Start a push as a dry run: the remote checks the right to write, but not yet the branch's rules."""
        try:
            with self._lock:
                tip = self._fetch_tip_unless_seen()
                commit = tip.commit or self._make_empty_commit()
                self._run("push", "--dry-run", "--porcelain", "--no-verify", REMOTE, f"{commit}:{self._ref}")
        except GitFailed as error:
            return WriteAccess(False, str(self._refused(error)))
        return WriteAccess(True, "the remote accepts a push (rules of the branch are checked only when it is made)")

    def _make_empty_commit(self) -> str:
        """Make a commit without files in the temporary repository, and return its id."""
        tree = self._run("mktree").decode().strip()
        return self._run("commit-tree", tree, "-m", "Ask whether the state can be written").decode().strip()

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        fault: StateError
        try:
            with self._lock:
                return self._write(writes)
        except StateError as error:
            fault = error
        except GitFailed as error:
            fault = self._unreachable(error)
        return [WriteResult(write.environment, None, fault) for write in writes]

    def _write(self, writes: Sequence[Write]) -> list[WriteResult]:
        encoded = [_encode(write) for write in writes]
        tip = self._tip if self._tip is not None else self._refresh()
        unmoved = 0
        for attempt in range(MAX_PUSHES):
            self._load(tip, [write.environment for write in writes])
            # A push without an answer may still have landed: then the document on the branch is ours.
            landed = [attempt > 0 and _has_landed(tip, one) for one in encoded]
            results = [
                _make_result(one) if is_ours else self._compare(tip, one)
                for one, is_ours in zip(encoded, landed, strict=True)
            ]
            kept = [
                one
                for one, result, is_ours in zip(encoded, results, landed, strict=True)
                if result.error is None and not is_ours
            ]
            if not kept:
                return results
            commit = self._commit(tip, kept)
            error = self._push(tip, commit)
            if error is None:
                self._tip = _make_tip(tip, kept, commit)
                return results
            seen = self._fetch_tip_after(error, attempt)
            if seen.commit == commit:
                return results
            unmoved = unmoved + 1 if seen.commit == tip.commit else 0
            if unmoved and (unmoved == MAX_FAILED_PUSHES or not _is_transient(error)):
                raise self._refused(error) from error
            tip = seen
        fault = Unreachable(f"state: {self.location}: {MAX_PUSHES} pushes lost to others in a row. Run again")
        return [WriteResult(write.environment, None, fault) for write in writes]

    def _compare(self, tip: Tip, one: Encoded) -> WriteResult:
        """Return the result of a write to this tip: a conflict if it expects another version than the tip has."""
        name, before = one.write.environment, tip.contents.get(one.write.environment)
        version = None if before is None else version_of(before)
        if before is None and name in tip.blobs:
            version = tip.blobs[name].object_id
            if one.write.document is not None:
                return WriteResult(name, None, self._make_too_large(name, tip.blobs[name]))
        if version != one.write.expected:
            return WriteResult(name, None, Conflict(name))
        return _make_result(one)

    def _commit(self, tip: Tip, kept: Sequence[Encoded]) -> str:
        """Make a commit on top of the one that was read, in one process for all documents. Return its id."""
        writes = [one.write for one in kept]
        message = describe_commit(
            [(write.environment, self._decode_or_none(tip, write.environment), write.document) for write in writes]
        )
        identity = f"reconciler <reconciler@localhost> {int(time.time())} +0000\n".encode()
        stream = [f"commit {NEXT_REF}\nmark :1\nauthor ".encode() + identity + b"committer " + identity]
        stream.append(_data(message.encode()))
        stream.append(b"from " + tip.commit.encode() + b"\n" if tip.commit else b"")
        for one in kept:
            name = f"{one.write.environment}{SUFFIX}".encode()
            if one.data is None:
                stream.append(b"D " + name + b"\n")
            else:
                stream.append(b"M 100644 inline " + name + b"\n" + _data(one.data))
        stream.append(b"get-mark :1\ndone\n")
        return self._run("fast-import", "--quiet", "--force", "--done", stdin=b"".join(stream)).decode().strip()

    @staticmethod
    def _decode_or_none(tip: Tip, name: str) -> Document | None:
        """Return the document that a write replaces; None also for a corrupt one, which may be removed."""
        data = tip.contents.get(name)
        try:
            return None if data is None else decode_document(data, environment=name, where=name).document
        except Corrupt:
            return None

    def _push(self, tip: Tip, commit: str) -> GitFailed | None:
        """Push `commit` to the branch; return the failure, which does not say whether the commit landed.

        The lease names the commit that was read; without one, the branch must not exist. Nothing can be lost: the new
        commit is a child of that commit.
        """
        lease = f"--force-with-lease={self._ref}:{tip.commit or ''}"
        options = ("--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules", lease)
        try:
            self._run("push", *options, REMOTE, f"{commit}:{self._ref}")
        except GitFailed as error:
            return error
        return None

    def _fetch_tip_after(self, error: GitFailed, attempt: int) -> Tip:
        """Return the branch after a push that failed. Raises: Unreachable if it can't be fetched."""
        logger.info("the push failed, look at the branch: %s", error.reason)
        if _is_transient(error):
            self._sleep(random.random() * min(BACKOFF_CAP_S, BACKOFF_S * 2**attempt))  # noqa: S311 - spreads retries
        return self._refresh()

    # --- messages ----------------------------------------------------------------------------------

    def _unreachable(self, error: GitFailed) -> Unreachable:
        advice = advise_ownership(error, self.location)
        if advice is not None:
            return Unreachable(f"state: {self.location}: {advice}")
        if _NO_ROOM.search(error.text):
            return Unreachable(
                f"state: {self.location}: {error.reason}. Look at the disk of the temporary folder (TMPDIR, now "
                f"{tempfile.gettempdir()}), and at the remote's; make room there, then run again"
            )
        if _TWO_REFS.search(error.text):
            return Unreachable(
                f"state: {self.location}: the remote has another branch or tag whose name ends in {self._ref}, so git "
                f"can't push. Delete it: git ls-remote {self._remote} '*{self._ref}' lists both"
            )
        return Unreachable(
            f"state: {self.location} can't be reached: {error.reason.rstrip('.')}. Check the remote's address, the "
            "network and the credentials (in GitHub Actions: actions/checkout keeps them, and `permissions: contents: "
            "write`)"
        )

    def _refused(self, error: GitFailed) -> Unreachable:
        """Return the error for a push that failed although the branch did not move, in the remote's or git's words."""
        verdict = _REJECTION.search(error.output)
        if verdict is None:
            hint = ". The push goes to the address that is read; `pushurl` and `pushInsteadOf` are not used"
            return Unreachable(str(self._unreachable(error)) + (hint if self._git.has_push_address else ""))
        reason = verdict[1]
        if error.reason != NO_REASON:  # the words of a hook or of a rule
            reason += f" ({error.reason.rstrip('.')})"
        return Unreachable(
            f"state: {self.location}: the remote rejected the push: {reason}. Is the branch protected, or may this "
            "token not write? Allow pushes to it, or choose another branch"
        )

    def close(self) -> None:
        """Remove the temporary repository."""
        self._git.close()


@contextlib.contextmanager
def _as_unreachable() -> Iterator[None]:
    """Translate the error of a git that can't be used at all."""
    try:
        yield
    except GitUnusable as error:
        raise Unreachable(f"state: {error}") from error


def _is_transient(error: GitFailed) -> bool:
    return _TRANSIENT.search(error.text) is not None and _PERMANENT.search(error.text) is None


def _data(content: bytes) -> bytes:
    return b"data " + str(len(content)).encode() + b"\n" + content + b"\n"


def _encode(write: Write) -> Encoded:
    try:
        return Encoded(write, encode_write(write))
    except StateError as fault:
        return Encoded(write, None, fault)


def _has_landed(tip: Tip, one: Encoded) -> bool:
    """Return whether the document on the branch is the one that we wrote. The serial makes each document unique.

    A document that can't be encoded was never pushed.
    """
    if one.write.document is None:
        return one.write.environment not in tip.blobs
    return one.fault is None and tip.contents.get(one.write.environment) == one.data


def _make_result(one: Encoded) -> WriteResult:
    return WriteResult(one.write.environment, None if one.data is None else version_of(one.data), one.fault)


def _make_object_id(data: bytes) -> str:
    """Return git's name of a document. A repository that uses SHA-256 has another name, so there it is read again."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _split(tip: Tip, names: Sequence[str]) -> Iterator[list[str]]:
    """Split the names into parts whose documents take little memory; a large document is a part alone."""
    few: list[str] = []
    size_bytes = 0
    for name in names:
        size_bytes += tip.blobs[name].size_bytes
        if few and size_bytes > MAX_HEADS_BYTES:
            yield few
            few, size_bytes = [], tip.blobs[name].size_bytes
        few.append(name)
    if few:
        yield few


def _make_tip(tip: Tip, kept: Sequence[Encoded], commit: str) -> Tip:
    """Return the branch after the push of `commit`, which stored these writes."""
    blobs, contents = dict(tip.blobs), dict(tip.contents)
    for one in kept:
        name = one.write.environment
        if one.data is None:
            blobs.pop(name, None)
            contents.pop(name, None)
        else:
            contents[name] = one.data
            blobs[name] = Blob(_make_object_id(one.data), len(one.data))
    return Tip(commit, blobs, contents)
