"""A failed push: its effect is read from the branch, and a refusal ends at once with the remote's reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.errors import Unreachable
from reconciler.ports import Write
from reconciler.state.git import MAX_FAILED_PUSHES, GitStore
from tests.contract.remotes import basic, git, make_clone, make_remote, serve_guarded
from tests.contract.test_stores import document, put

BRANCH = "reconciler-state"
REF = f"refs/heads/{BRANCH}"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path)


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def store(remote: Path, tmp_path: Path, naps: list[float]) -> Iterator[GitStore]:
    made = GitStore(make_clone(remote, tmp_path / "clone"), "origin", BRANCH, sleep=naps.append)
    yield made
    made.close()


def write_hook(remote: Path, name: str, script: str) -> Path:
    """Install a hook of the server that counts its runs in `runs`."""
    hook = remote / "hooks" / name
    hook.write_text(f"#!/bin/sh\necho run >>'{remote}/runs'\n{script}\n")
    hook.chmod(0o755)
    return hook


def count_runs(remote: Path) -> int:
    return len((remote / "runs").read_text().splitlines())


def refused(store: GitStore) -> str:
    """Return the message, which is the same for every document of the batch."""
    results = store.write([Write(name, document(name), None) for name in "ab"])
    assert all(isinstance(result.error, Unreachable) for result in results)
    [message] = {str(result.error) for result in results}
    return message


@pytest.mark.parametrize(
    ("hook", "script", "reason"),
    [
        ("pre-receive", "echo 'protected branch' >&2; exit 1", "pre-receive hook declined (protected branch)"),
        ("pre-receive", "exit 1", "pre-receive hook declined"),
        (
            "update",
            "echo 'only ana may' >&2; exit 1",
            f"hook declined (only ana may; hook declined to update {REF})",
        ),
        (
            "pre-receive",
            "echo 'error: GH013: Repository rule violations found' >&2; echo >&2; "
            "echo '- Commits must have verified signatures.' >&2; exit 1",
            "pre-receive hook declined (GH013: Repository rule violations found; - Commits must have verified "
            "signatures)",
        ),
        (
            "pre-receive",
            "echo 'error: GH006: Protected branch update failed' >&2; "
            "echo 'error: Cannot update this protected ref.' >&2; exit 1",
            "pre-receive hook declined (GH006: Protected branch update failed; Cannot update this protected ref)",
        ),
    ],
)
def test_a_rule_of_the_remote_ends_the_write_after_one_push(
    hook: str, script: str, reason: str, store: GitStore, remote: Path, naps: list[float]
) -> None:
    """All lines of the remote are shown; nothing is forced or retried."""
    write_hook(remote, hook, script)
    assert refused(store) == (
        f"state: git:origin/{BRANCH}: the remote rejected the push: {reason}. Is the branch protected, or may this "
        "token not write? Allow pushes to it, or choose another branch"
    )
    assert (count_runs(remote), naps) == (1, [])
    assert BRANCH not in git(remote, "for-each-ref")


def test_a_push_that_landed_although_it_was_refused_is_done(store: GitStore, remote: Path) -> None:
    """The branch is read before the failure is judged."""
    write_hook(remote, "update", f"git update-ref {REF} $3; exit 1")
    put(store, document())
    assert git(remote, "log", "--format=%s", BRANCH) == "adopted: production\n"
    assert count_runs(remote) == 1
    (remote / "hooks" / "update").unlink()
    version = store.read(["production"])["production"].version
    put(store, replace(document(version="2"), serial=2), version)


def test_a_refused_push_of_a_branch_that_moved_is_tried_again(store: GitStore, remote: Path, tmp_path: Path) -> None:
    """It is retried even if the remote names another reason, as the new tip may be accepted."""
    other = GitStore(make_clone(remote, tmp_path / "other"), "origin", "elsewhere")
    put(other, document("b"))
    write_hook(
        remote,
        "pre-receive",
        f'test "$(cat {remote}/runs)" = run || exit 0\n'
        "unset GIT_QUARANTINE_PATH; "
        f"env -u GIT_QUARANTINE_PATH git update-ref {REF} refs/heads/elsewhere; exit 1",
    )
    put(store, document("a"))
    assert store.names() == {"a", "b"}
    assert count_runs(remote) == 2
    other.close()


def test_a_branch_whose_name_clashes_ends_in_gits_own_reason(remote: Path, tmp_path: Path, naps: list[float]) -> None:
    """`main` exists, so `main/state` can't."""
    store = GitStore(make_clone(remote, tmp_path / "clone"), "origin", "main/state", sleep=naps.append)
    message = refused(store)
    assert "the remote rejected the push: " in message
    assert "'refs/heads/main' exists; cannot create 'refs/heads/main/state'" in message
    assert "choose another branch" in message
    assert naps == []
    store.close()


def test_a_lock_that_stays_is_tried_a_few_times(store: GitStore, remote: Path, naps: list[float]) -> None:
    """A server that died may have left it; the file is named."""
    (remote / f"{REF}.lock").write_text("")
    message = refused(store)
    assert f"{BRANCH}.lock': File exists" in message
    assert len(naps) == MAX_FAILED_PUSHES
    assert sum(naps) < 2


def test_a_lock_that_goes_away_is_waited_for(remote: Path, tmp_path: Path) -> None:
    """Another push held it."""
    lock = remote / f"{REF}.lock"
    lock.write_text("")
    store = GitStore(
        make_clone(remote, tmp_path / "clone"), "origin", BRANCH, sleep=lambda seconds: lock.unlink(missing_ok=True)
    )
    put(store, document())
    assert store.names() == {"production"}
    store.close()


def test_a_token_that_may_read_only_ends_the_write_after_one_push(
    remote: Path, tmp_path: Path, naps: list[float]
) -> None:
    """The branch can be read and has not moved."""
    git(remote, "config", "http.receivepack", "true")
    pushes: list[str | None] = []

    def allows(header: str | None, pushing: bool) -> bool:
        if pushing:
            pushes.append(header)
        return header == basic("x", "canary-reader") and not pushing

    with serve_guarded(remote, allows) as url:
        clone = make_clone(remote, tmp_path / "clone")
        git(clone, "remote", "set-url", "origin", url)
        git(clone, "config", f"http.{url}.extraheader", f"Authorization: {basic('x', 'canary-reader')}")
        store = GitStore(clone, "origin", BRANCH, sleep=naps.append)
        message = refused(store)
        store.close()
    assert "can't be reached: could not read Username for" in message
    assert "`permissions: contents: write`" in message
    assert "pushInsteadOf" not in message, "only where the user has set one"
    assert naps == []


def test_a_remote_that_refuses_pushes_is_not_writable(tmp_path: Path) -> None:
    """A token may allow only reads; then the read works."""
    remote = make_remote(tmp_path)
    with serve_guarded(remote, lambda header, pushes: not pushes) as url:
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "-q", url, str(clone))
        store = GitStore(clone, "origin", "reconciler-state")
        assert store.names() == frozenset()
        access = store.find_write_access()
        store.close()
    assert access.allowed is False
    assert "git:origin/reconciler-state can't be reached" in access.message
