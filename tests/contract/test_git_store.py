"""The promises of the git store alone: an unchanged repository, harmless races, an audit trail.

See docs/state.md.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.core.record import Claim, begin_intent, clear, confirm, mark_in_doubt
from reconciler.errors import Conflict, Corrupt, Unreachable
from reconciler.io.git.command import GitFailed, GitUnusable
from reconciler.io.git.scratch import ScratchRepository
from reconciler.model import By, Document, Fingerprint
from reconciler.ports import Write
from reconciler.state.document import encode_document
from reconciler.state.git import BACKOFF_CAP_S, MAX_PUSHES, GitStore
from tests.contract.remotes import basic, git, make_clone, make_remote, serve_guarded, serve_over_http
from tests.contract.test_stores import document, put
from tests.fakes import START, make_desired

BRANCH = "reconciler-state"
BY = By("ana\n::error::", "c0ffee", "7/1")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path)


@pytest.fixture
def stores(remote: Path, tmp_path: Path) -> Iterator[list[GitStore]]:
    """Return the stores of two runs, each in its own shallow clone."""
    made = [GitStore(make_clone(remote, tmp_path / name), "origin", BRANCH) for name in ("one", "two")]
    yield made
    for store in made:
        store.close()


class Meddled(ScratchRepository):
    """The real repository, with hooks just before and just after each command."""

    def __init__(
        self,
        clone: Path,
        *,
        before: Callable[[str], object] = lambda command: None,
        after: Callable[[str], object] = lambda command: None,
    ) -> None:
        super().__init__(clone, os.environ, "origin")
        self._before, self._after = before, after

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        self._before(arguments[0])
        done = super().run(*arguments, stdin=stdin)
        self._after(arguments[0])
        return done


def open_meddled(
    clone: Path,
    *,
    before: Callable[[str], object] = lambda command: None,
    after: Callable[[str], object] = lambda command: None,
    sleep: Callable[[float], None] = lambda seconds: None,
) -> GitStore:
    meddled = Meddled(clone, before=before, after=after)
    return GitStore(clone, "origin", BRANCH, git=meddled, sleep=sleep)


def snapshot(clone: Path) -> tuple[str, ...]:
    """Return everything of a clone that must not change."""
    return (
        git(clone, "status", "--porcelain", "--ignored"),
        git(clone, "rev-parse", "HEAD"),
        git(clone, "for-each-ref"),
        git(clone, "count-objects", "-v"),
        (clone / ".git" / "shallow").read_text(),
        (clone / ".git" / "config").read_text(),
        "\n".join(sorted(str(path) for path in (clone / ".git").rglob("*") if path.is_file())),
    )


def intent(environment: str) -> Document:
    return begin_intent(None, make_desired(environment), Claim("i", "l", START, 900, BY))


def test_the_clone_is_left_as_it_was(stores: list[GitStore], tmp_path: Path) -> None:
    """Reads and writes change neither HEAD, index, work tree, refs, objects nor configuration."""
    clone = tmp_path / "one"
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
    hook.chmod(0o755)
    git(clone, "checkout", "-q", "--detach")
    before = snapshot(clone)
    put(stores[0], document())
    stores[0].names()
    stores[0].read(["production"])
    assert snapshot(clone) == before


def test_the_branch_has_no_history_in_common_with_the_code(stores: list[GitStore], remote: Path) -> None:
    """It begins with its first commit, and holds documents alone."""
    put(stores[0], document())
    assert git(remote, "rev-list", "--count", BRANCH) == "1\n"
    assert git(remote, "ls-tree", "--name-only", BRANCH) == "production.json\n"


def test_a_batch_is_one_commit_with_the_actor_and_the_outcomes(stores: list[GitStore], remote: Path) -> None:
    """`git log` is the audit trail; a hostile actor's name stays on its line, escaped."""
    a, b = intent("a"), intent("b")
    versions = [result.version for result in stores[0].write([Write("a", a, None), Write("b", b, None)])]
    confirmed = confirm(a, make_desired("a"), Fingerprint(), START, BY)
    stores[0].write([Write("a", confirmed, versions[0]), Write("b", mark_in_doubt(b), versions[1])])
    assert git(remote, "log", "--format=%an%n%B", BRANCH).strip().split("\n") == [
        *("reconciler", "1 applied, 1 uncertain", "", "a: applied", "b: uncertain", ""),
        *(r"actor: ana\n::error::", "commit: c0ffee", "run: 7/1", ""),
        *("reconciler", "intent: a, b", "", "a: intent", "b: intent", ""),
        *(r"actor: ana\n::error::", "commit: c0ffee", "run: 7/1"),
    ]


def test_the_commit_has_one_word_for_the_end_of_an_intent(stores: list[GitStore], remote: Path) -> None:
    """An intent may be taken back, or forgotten."""
    version = put(stores[0], intent("a"))
    version = put(stores[0], clear(intent("a")), version)
    assert stores[0].write([Write("a", None, version)])[0].error is None
    version = put(stores[0], intent("b"))
    assert stores[0].write([Write("b", None, version)])[0].error is None
    subjects = git(remote, "log", "--format=%s", BRANCH).split("\n")
    assert subjects == ["removed: b", "intent: b", "forgotten: a", "not applied: a", "intent: a", ""]


def test_another_environments_write_in_between_is_not_a_conflict(stores: list[GitStore], remote: Path) -> None:
    """The push loses; the document that was read is unchanged, so a new commit is made on the new tip."""
    one, two = stores
    one.names()
    two.names()
    put(two, document("b"))
    put(one, document("a"))
    assert one.names() == {"a", "b"}
    assert git(remote, "rev-list", "--count", "--no-merges", BRANCH) == "2\n"


def test_the_same_environments_write_in_between_is_a_conflict(stores: list[GitStore]) -> None:
    """The other documents of the batch are written."""
    one, two = stores
    one.names()
    put(two, document("b", version="2"))
    results = one.write([Write("a", document("a"), None), Write("b", document("b"), None)])
    assert [type(result.error) for result in results] == [type(None), Conflict]
    assert one.read(["b"])["b"].document == document("b", version="2")


def test_writers_in_many_clones_lose_no_write(remote: Path, tmp_path: Path) -> None:
    """Three runs increment one document at the same time; the history is linear."""
    made = [GitStore(make_clone(remote, tmp_path / f"clone{number}"), "origin", BRANCH) for number in range(3)]
    put(made[0], document())

    def count(store: GitStore) -> None:
        done = 0
        while done < 3:
            stored = store.read(["production"])["production"]
            following = replace(stored.document, serial=stored.document.serial + 1, lineage=str(made.index(store)))
            done += store.write([Write("production", following, stored.version)])[0].error is None

    threads = [threading.Thread(target=count, args=(store,)) for store in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0].read(["production"])["production"].document.serial == 10
    assert git(remote, "rev-list", "--count", "--no-merges", BRANCH) == "10\n"
    for store in made:
        store.close()


def test_many_who_read_at_once_through_one_store_ask_the_remote_once(stores: list[GitStore]) -> None:
    """Workers of a run may lose a race together, and git refuses two fetches into one repository."""
    first, second = stores
    assert first.read(["production"]) == {}
    for serial in range(1, 3):
        version = second.read(["production"]).get("production")
        put(second, replace(document(), serial=serial), version.version if version else None)
        seen: list[int] = []
        together = threading.Barrier(8)

        def read(seen: list[int] = seen, together: threading.Barrier = together) -> None:
            together.wait()
            seen.append(first.read(["production"])["production"].document.serial)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [serial] * 8


def test_a_plan_asks_the_remote_once_and_a_write_once(stores: list[GitStore], tmp_path: Path) -> None:
    """The heads take an ls-remote and a fetch. The first read after them asks nothing, the next one asks again."""
    put(stores[1], document())
    asked: list[str] = []
    store = open_meddled(
        tmp_path / "one",
        before=lambda command: asked.append(command) if command in ("ls-remote", "fetch", "push") else None,
    )
    seen = store.read_changes()
    assert set(seen.heads) == {"production"}
    assert set(store.read(["production"])) == {"production"}
    assert asked == ["ls-remote", "fetch"]
    store.read(["production"])
    assert asked == ["ls-remote", "fetch", "ls-remote"], "another run may have written meanwhile"
    version = store.read(["production"])["production"].version
    asked.clear()
    version = put(store, replace(document(version="2"), serial=2), version)
    version = put(store, replace(document(version="3"), serial=3), version)
    store.read_changes(seen.snapshot)
    assert asked == ["push", "push"], "what others pushed before is known from the push"
    put(stores[1], document("b"))
    asked.clear()
    put(store, replace(document(version="4"), serial=4), version)
    assert asked == ["push", "ls-remote", "fetch", "push"], "the first push lost to the other run's"
    assert set(store.read_changes(seen.snapshot).heads) == {"production", "b"}
    assert len(asked) == 4, "what the other run pushed was fetched after the push that lost"
    store.names()
    asked.clear()
    for looks in ([], ["ls-remote"]):
        assert set(store.read_originals(["production"])) == {"production"}
        assert asked == looks, "the first read after the names uses what they saw"
    assert store.location == f"git:origin/{BRANCH}"
    assert store.gather_s > 0
    store.close()


def lose_answers(count: int) -> Callable[[str], None]:
    """The connection breaks after a push has landed."""
    left = [None] * count

    def lose(command: str) -> None:
        if command == "push" and left:
            left.pop()
            raise GitFailed(128, "", "fatal: the remote end hung up unexpectedly")

    return lose


def test_a_push_whose_answer_is_lost_is_recognised(stores: list[GitStore], tmp_path: Path) -> None:
    """The push landed, so the write is done and not a conflict, also beside a write that conflicts."""
    _, two = stores
    one = open_meddled(tmp_path / "one", after=lose_answers(1))
    one.names()
    put(two, document("b", version="2"))
    one.names()
    results = one.write([Write("a", document("a"), None), Write("b", document("b"), None)])
    assert [type(result.error) for result in results] == [type(None), Conflict]
    assert two.names() == {"a", "b"}
    one.close()


def test_a_push_that_lands_unseen_under_another_is_recognised(
    stores: list[GitStore], tmp_path: Path, remote: Path
) -> None:
    """The branch has moved since then; the document on it is the one that was pushed."""
    _, two = stores
    lose = lose_answers(1)

    def lose_and_move(command: str) -> None:
        if command == "push" and two.names() == {"a"}:
            put(two, document("b"))
        lose(command)

    one = open_meddled(tmp_path / "one", after=lose_and_move)
    put(one, document("a"))
    assert git(remote, "log", "--format=%s", BRANCH) == "adopted: b\nadopted: a\n"
    one.close()


def test_a_removal_whose_answer_is_lost_is_recognised(stores: list[GitStore], tmp_path: Path) -> None:
    version = put(stores[1], document())
    one = open_meddled(tmp_path / "one", after=lose_answers(9))
    (result,) = one.write([Write("production", None, version)])
    assert (result.error, result.version) == (None, None)
    assert one.names() == frozenset()
    one.close()


def test_a_branch_that_others_push_to_all_the_time_is_given_up(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends after a bounded number of pushes, with pauses that double up to a limit; each document has the reason."""
    monkeypatch.setattr("random.random", lambda: 1.0)
    naps: list[float] = []
    busy = GitStore(make_clone(remote, tmp_path / "busy"), "origin", BRANCH)
    slow = open_meddled(
        make_clone(remote, tmp_path / "slow"),
        before=lambda command: put(busy, document(f"e{len(naps)}")) if command == "push" else None,
        sleep=naps.append,
    )
    results = slow.write([Write(name, document(name), None) for name in "ab"])
    assert all("12 pushes lost to others in a row. Run again" in str(result.error) for result in results)
    assert naps == [0.2, 0.4, 0.8, 1.6, 3.2, *[BACKOFF_CAP_S] * (MAX_PUSHES - 5)]
    assert busy.names() == {f"e{number}" for number in range(MAX_PUSHES)}
    busy.close()
    slow.close()


def test_a_branch_that_is_deleted_between_look_and_fetch_is_an_empty_state(
    stores: list[GitStore], remote: Path, tmp_path: Path
) -> None:
    """The branch is asked for again."""
    put(stores[1], document())
    asked: list[str] = []

    def delete(command: str) -> None:
        asked.append(command)
        if command == "fetch":
            git(remote, "update-ref", "-d", f"refs/heads/{BRANCH}")

    one = open_meddled(tmp_path / "one", before=delete)
    assert one.names() == frozenset()
    assert asked == ["ls-remote", "fetch", "ls-remote"]
    one.close()


def test_a_fetch_that_fails_is_an_error_at_once(stores: list[GitStore], remote: Path, tmp_path: Path) -> None:
    """It does not count as an empty state."""
    put(stores[1], document())
    asked: list[str] = []

    def move_away(command: str) -> None:
        asked.append(command)
        if command == "fetch":
            remote.rename(remote.with_name("moved.git"))

    one = open_meddled(tmp_path / "one", before=move_away)
    with pytest.raises(Unreachable, match=r"can't be reached: .*does not appear to be a git repository"):
        one.names()
    assert asked == ["ls-remote", "fetch"]
    one.close()


def commit_on(remote: Path, listing: str) -> None:
    """Make the state's branch with these entries, in the form of `git mktree`."""
    blob = git(remote, "hash-object", "-w", "--stdin", stdin="something").strip()
    folder = git(remote, "mktree", stdin=f"100644 blob {blob}\tinner.json\n").strip()
    tree = git(remote, "mktree", stdin=listing.format(blob=blob, folder=folder)).strip()
    commit = git(remote, "commit-tree", "-m", "by hand", tree).strip()
    git(remote, "update-ref", f"refs/heads/{BRANCH}", commit)


@pytest.mark.parametrize(
    "listing",
    ["040000 tree {folder}\ta.json\n", "100644 blob {blob}\tnotes.txt\n", "040000 tree {folder}\tsrc\n"],
    ids=["a folder named like a document", "a file", "a folder"],
)
def test_a_file_that_is_not_a_state_is_reported_and_nothing_is_read(
    listing: str, stores: list[GitStore], remote: Path
) -> None:
    commit_on(remote, listing)
    with pytest.raises(
        Corrupt, match=r"holds '(a\.json|notes\.txt|src)', which is not a state document: a branch of its own"
    ):
        stores[0].names()


def test_what_a_host_puts_beside_a_state_is_passed_over(stores: list[GitStore], remote: Path) -> None:
    """Examples are a README, a licence, and files that begin with a dot, even with the suffix of documents."""
    commit_on(remote, "".join(f"100644 blob {{blob}}\t{name}\n" for name in (".a.json", ".gitignore", "README.md")))
    assert stores[0].names() == frozenset()
    put(stores[0], document())
    assert stores[1].names() == {"production"}


def test_a_write_that_fails_on_this_machine_fails_each_document(stores: list[GitStore], tmp_path: Path) -> None:
    """It fails before a push; the temporary folder may be full, or the checkout removed."""
    errors = [
        GitFailed(128, "", "fatal: write error: No space left on device"),
        GitUnusable("/srv/checkout is gone, and git works there"),
    ]

    def fail(command: str) -> None:
        if command == "fast-import":
            raise errors.pop(0)

    one = open_meddled(tmp_path / "one", before=fail)
    for message in ("Look at the disk of the temporary folder (TMPDIR, now ", "state: /srv/checkout is gone"):
        results = one.write([Write(name, document(name), None) for name in "ab"])
        assert [result.environment for result in results] == ["a", "b"]
        assert all(isinstance(result.error, Unreachable) and message in str(result.error) for result in results)
    assert one.names() == frozenset()
    one.close()


def test_heads_are_read_a_few_at_a_time(
    stores: list[GitStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One git reads as many documents as take little memory: all of a fleet's would take hundreds of MiB."""
    stores[1].write([Write(name, document(name), None) for name in "abc"])
    size_bytes = len(encode_document(document("a")))
    started: list[str] = []
    one = open_meddled(tmp_path / "one", before=started.append)
    for most_bytes, parts in ((3 * size_bytes, 1), (2 * size_bytes, 2), (2 * size_bytes - 1, 3), (1, 3)):
        monkeypatch.setattr("reconciler.state.git.MAX_HEADS_BYTES", most_bytes)
        started.clear()
        assert set(one.read_changes().heads) == set("abc")
        assert started.count("cat-file") == parts
    one.close()


def test_content_that_git_can_not_read_is_not_a_missing_document(stores: list[GitStore], tmp_path: Path) -> None:
    """The temporary folder may be damaged or removed. Reads and writes report it."""
    version = put(stores[1], document())

    def fail(command: str) -> None:
        if command == "cat-file":
            raise GitFailed(128, "", "fatal: loose object 0123 is corrupt")

    one = open_meddled(tmp_path / "one", before=fail)
    for read in (lambda: one.read(["production"]), lambda: one.read_originals(["production"]), one.read_changes):
        with pytest.raises(Unreachable, match="loose object 0123 is corrupt"):
            read()
    (result,) = one.write([Write("production", None, version)])
    assert isinstance(result.error, Unreachable)
    assert stores[1].names() == {"production"}
    one.close()


def test_a_branch_that_comes_and_goes_is_looked_for_a_bounded_number_of_times(
    stores: list[GitStore], remote: Path, tmp_path: Path
) -> None:
    put(stores[1], document())
    ref = f"refs/heads/{BRANCH}"
    commit = git(remote, "rev-parse", ref).strip()
    looks: list[str] = []

    def come_and_go(command: str) -> None:
        if command == "ls-remote":
            looks.append(command)
            git(remote, "update-ref", ref, commit)
        if command == "fetch":
            git(remote, "update-ref", "-d", ref)

    one = open_meddled(tmp_path / "one", before=come_and_go)
    with pytest.raises(Unreachable, match="couldn't find remote ref"):
        one.names()
    assert len(looks) == MAX_PUSHES
    one.close()


def test_a_machine_without_git_names_what_to_install(remote: Path, tmp_path: Path) -> None:
    """Reads and writes have the same message."""
    clone = make_clone(remote, tmp_path / "clone")
    store = GitStore(clone, "origin", BRANCH, environ={"PATH": str(tmp_path)})
    message = r"^state: git was not found on PATH\. Install git, or set `state` to a folder$"
    with pytest.raises(Unreachable, match=message):
        store.names()
    with pytest.raises(Unreachable, match=message):
        raise store.write([Write("a", document("a"), None)])[0].error or AssertionError


def test_a_remote_that_never_answers_is_not_waited_for(stores: list[GitStore], tmp_path: Path) -> None:
    """git waits as long as the other side holds the connection."""
    stores[0].names()
    git(tmp_path / "one", "config", "core.sshCommand", "sleep 60 #")
    git(tmp_path / "one", "remote", "set-url", "origin", "ssh://nobody@127.0.0.1:1/state.git")
    impatient = ScratchRepository(tmp_path / "one", os.environ, "origin", timeout_s=0.5)
    hanging = GitStore(tmp_path / "one", "origin", BRANCH, git=impatient)
    with pytest.raises(Unreachable, match=r"can't be reached: no answer within 0\.5 s"):
        hanging.names()
    hanging.close()


def test_a_missing_branch_is_empty_but_a_failing_fetch_never_is(stores: list[GitStore], remote: Path) -> None:
    """A remote that is gone is exit 4, not a fleet of creates."""
    put(stores[0], document())
    remote.rename(remote.with_name("moved.git"))
    with pytest.raises(Unreachable, match="can't be reached"):
        stores[0].names()
    [result] = stores[1].write([Write("production", document(), None)])
    assert isinstance(result.error, Unreachable)


def test_a_missing_remote_and_a_folder_without_git_say_what_to_do(remote: Path, tmp_path: Path) -> None:
    """The names of remotes come from `git remote -v`."""
    store = GitStore(make_clone(remote, tmp_path / "clone"), "upstream", BRANCH)
    with pytest.raises(Unreachable, match="git remote -v"):
        store.names()
    store.close()
    (tmp_path / "plain").mkdir()
    with pytest.raises(Unreachable, match="plain is not in a git repository"):
        GitStore(
            tmp_path / "plain", "origin", BRANCH, environ={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": "/"}
        ).names()


@pytest.mark.parametrize("other", ["refs/heads/refs/heads/reconciler-state", "refs/tags/refs/heads/reconciler-state"])
def test_another_branch_or_tag_with_the_whole_name_of_the_branch_is_named(
    stores: list[GitStore], remote: Path, other: str
) -> None:
    """Git refuses to choose between the two. The state is not changed, and is read as before."""
    put(stores[0], document())
    git(remote, "update-ref", other, f"refs/heads/{BRANCH}")
    assert stores[1].read(["production"])["production"].document == document()
    [result] = stores[0].write([Write("b", document("b"), None)])
    assert isinstance(result.error, Unreachable)
    assert f"another branch or tag whose name ends in refs/heads/{BRANCH}" in str(result.error)
    assert f"git ls-remote origin '*refs/heads/{BRANCH}' lists both" in str(result.error)


def test_the_branch_of_the_code_is_not_a_state(remote: Path, tmp_path: Path) -> None:
    """It holds other files; a state is never written beside them."""
    store = GitStore(make_clone(remote, tmp_path / "clone"), "origin", "main")
    (tmp_path / "seed" / "code.py").write_text("")
    git(tmp_path / "seed", "add", "-A")
    git(tmp_path / "seed", "commit", "-q", "-m", "Code")
    git(tmp_path / "seed", "push", "-q", "origin", "HEAD:main")
    with pytest.raises(Corrupt, match="branch of its own"):
        store.names()
    store.close()


def test_a_branch_that_was_deleted_is_an_empty_state_again(stores: list[GitStore], remote: Path) -> None:
    """Documents that were read before conflict, and are not written back."""
    version = put(stores[0], document())
    git(remote, "update-ref", "-d", f"refs/heads/{BRANCH}")
    [result] = stores[0].write([Write("production", replace(document(), serial=2), version)])
    assert isinstance(result.error, Conflict)
    assert stores[0].names() == frozenset()


def test_the_credentials_of_the_checkout_are_enough(remote: Path, tmp_path: Path) -> None:
    """Over smart HTTP with a password that actions/checkout left as an extra header; without it, a clear error."""
    git(remote, "config", "http.receivepack", "true")
    header = f"Authorization: {basic('x-access-token', 'canary-password')}"
    with serve_over_http(remote, "x-access-token", "canary-password") as url:
        clone = make_clone(url, tmp_path / "clone", "-c", f"http.{url}.extraheader={header}")
        refused = GitStore(clone, "origin", BRANCH)
        with pytest.raises(Unreachable) as caught:
            refused.names()
        assert "canary" not in str(caught.value)
        refused.close()
        git(clone, "config", f"http.{url}.extraheader", header)
        store = GitStore(clone, "origin", BRANCH)
        put(store, document())
        assert store.read(["production"])["production"].document == document()
        store.close()


def test_variables_have_the_last_word_over_what_a_checkout_kept(remote: Path, tmp_path: Path) -> None:
    """An empty header drops the checkout's, as in git itself: GitHub refuses a request with two (400)."""
    ours = basic("x", "of the action")
    seen: list[str | None] = []

    def allows(header: str | None, _: bool) -> bool:
        seen.append(header)
        return header == ours

    with serve_guarded(remote, allows) as url:
        clone = make_clone(remote, tmp_path / "clone")
        git(clone, "remote", "set-url", "origin", url)
        git(clone, "config", f"http.{url}.extraheader", f"Authorization: {basic('x', 'of the checkout')}")
        key = f"http.{url}.extraheader"
        pairs = [(key, ""), (key, f"Authorization: {ours}")]
        environ = {**os.environ, "GIT_CONFIG_COUNT": "2"}
        for place, (name, value) in enumerate(pairs):
            environ |= {f"GIT_CONFIG_KEY_{place}": name, f"GIT_CONFIG_VALUE_{place}": value}
        store = GitStore(clone, "origin", "state", environ=environ)
        assert store.names() == frozenset()
        store.close()
    assert seen and set(seen) == {ours}


def test_a_branch_with_a_near_name_is_found(remote: Path, stores: list[GitStore], tmp_path: Path) -> None:
    """The result is None for the branch itself, or if the branches can't be listed."""
    put(stores[0], document())
    mistyped = GitStore(make_clone(remote, tmp_path / "three"), "origin", "reconcilier-state")
    assert mistyped.names() == frozenset()
    assert mistyped.find_near() == "reconciler-state"
    assert stores[0].find_near() is None
    git(tmp_path / "three", "remote", "set-url", "origin", str(tmp_path / "gone"))
    other = GitStore(tmp_path / "three", "origin", "reconcilier-state")
    assert other.find_near() is None
    mistyped.close()
    other.close()
