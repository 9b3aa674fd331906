"""Reads of commits, trees and blobs from checkouts of any depth, without the checkout's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.io.git.command import GitFailed
from reconciler.io.git.history import GitHistory, MissingObject, TreeFile, UnsafeName
from tests.contract.remotes import basic, git, make_clone, make_remote, serve_over_http

BODY = "webhooks: {}\n"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path)


@pytest.fixture
def seed(remote: Path, tmp_path: Path) -> Path:
    """The clone in which the tests commit."""
    return tmp_path / "seed"


def commit(seed: Path, files: dict[str, str | None], message: str = "Change") -> str:
    """Write files (None removes one), commit, push, and return the commit."""
    for name, text in files.items():
        path = seed / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git(seed, "add", "-A")
    git(seed, "commit", "-q", "--allow-empty", "-m", message)
    git(seed, "push", "-q", "origin", "HEAD")
    return git(seed, "rev-parse", "HEAD").strip()


def environ() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def opened() -> Iterator[list[GitHistory]]:
    """Yield a list of histories, which are closed at the end."""
    made: list[GitHistory] = []
    yield made
    for one in made:
        one.close()


def open_history(opened: list[GitHistory], folder: Path, **more: str) -> GitHistory:
    opened.append(GitHistory(folder, {**environ(), **more}))
    return opened[-1]


def is_shallow(clone: Path) -> bool:
    return git(clone, "rev-parse", "--is-shallow-repository").strip() == "true"


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_the_line_is_the_same_whatever_the_checkout_holds(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory], depth: int
) -> None:
    made = [git(seed, "rev-parse", "HEAD").strip(), *(commit(seed, {"a": f"{n}\n"}) for n in range(5))]
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", f"--depth={depth}", f"file://{remote}", str(clone))
    before = sorted(path.name for path in (clone / ".git").rglob("*"))
    history = open_history(opened, clone)
    assert history.read_line(made[-1]) == (tuple(reversed(made)), True)
    assert history.read_line(made[-1], 4) == (tuple(reversed(made))[:4], False)
    assert history.read_line(made[-1], 6) == (tuple(reversed(made)), True)
    assert history.find_parents(made[-1]) == (made[-2],)
    assert history.find_parents(made[0]) == ()
    assert sorted(path.name for path in (clone / ".git").rglob("*")) == before
    assert is_shallow(clone) == (depth < 6)


def test_a_line_that_can_not_be_fetched_is_not_a_short_one(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]
) -> None:
    head = commit(seed, {"a": "1\n"})
    clone = make_clone(remote, tmp_path / "clone")
    os.rename(remote, tmp_path / "gone.git")
    with pytest.raises(GitFailed):
        open_history(opened, clone).read_line(head)
    git(clone, "remote", "remove", "origin")
    with pytest.raises(MissingObject, match="no remote origin"):
        open_history(opened, clone).read_line(head)


def test_the_line_follows_first_parents(remote: Path, seed: Path, opened: list[GitHistory]) -> None:
    first = git(seed, "rev-parse", "HEAD").strip()
    git(seed, "switch", "-q", "-c", "topic")
    topic = commit(seed, {"a": "1\n"})
    git(seed, "switch", "-q", "main")
    other = commit(seed, {"b": "1\n"})
    git(seed, "merge", "-q", "--no-ff", "-m", "Merge", "topic")
    merge = git(seed, "rev-parse", "HEAD").strip()
    history = open_history(opened, seed)
    assert history.read_line(merge) == ((merge, other, first), True)
    assert history.find_parents(merge) == (other, topic)
    changed = history.compare([(merge, other), (other, first), (first, None)])
    assert [[one.path for one in changes] for changes in changed] == [["a"], ["b"], ["README"]]


def test_what_changed_between_commits(remote: Path, seed: Path, opened: list[GitHistory]) -> None:
    names = ["manifests/loja.yaml", "manifests/é [1].yaml", "manifests/a/b.yaml", "other.txt"]
    one = commit(seed, {name: f"{name}\n" for name in names})
    two = commit(seed, {names[0]: None, names[1]: "new\n", "manifests/c\nd.yaml": "x\n", "other.txt": "y\n"})
    three = commit(seed, {})
    history = open_history(opened, seed)
    files = {commit: history.list_files(commit, ["manifests"]) for commit in (one, two)}
    assert set(files[one]) == set(names[:3])
    none, changes = history.compare([(three, two), (two, one)], "manifests/")
    assert none == []
    assert {change.path: (change.before, change.after) for change in changes} == {
        name: (files[one].get(name), files[two].get(name)) for name in (names[0], names[1], "manifests/c\nd.yaml")
    }
    blob = files[two][names[1]].blob
    assert history.read([blob, blob]) == {blob: b"new\n"}
    assert history.list_files(two, ["nowhere", "other.txt"]) == {"other.txt": history.list_files(two)["other.txt"]}


def test_commits_that_the_checkout_lacks_are_fetched_by_their_names(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]
) -> None:
    """They are two heads of pull requests, one of them only below refs/pull, on a server that hides commits."""
    git(seed, "switch", "-q", "-c", "topic")
    topic = commit(seed, {"topic": "1\n"})
    git(seed, "switch", "-q", "--detach")
    (seed / "pull").write_text("2\n")
    git(seed, "add", "-A")
    git(seed, "commit", "-q", "-m", "Pull")
    pull = git(seed, "rev-parse", "HEAD").strip()
    git(seed, "push", "-q", "origin", f"{pull}:refs/pull/7/head")
    clone = make_clone(remote, tmp_path / "clone")
    history = open_history(opened, clone)
    history.ensure([topic, pull], {pull: "refs/pull/7/head"})
    assert "topic" in history.list_files(topic)
    assert "pull" in history.list_files(pull)
    strict = open_history(
        opened, clone, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="protocol.version", GIT_CONFIG_VALUE_0="0"
    )
    git(remote, "config", "transfer.hideRefs", "refs/pull")
    with pytest.raises(GitFailed):
        strict.ensure([pull])
    git(remote, "config", "--unset", "transfer.hideRefs")
    git(remote, "config", "uploadpack.allowTipSHA1InWant", "false")
    strict.ensure([topic, pull], {pull: "refs/pull/7/head"})
    assert "pull" in strict.list_files(pull)


def test_a_ref_that_leads_elsewhere_is_not_the_commit(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]
) -> None:
    commit(seed, {"a": "1\n"})
    git(seed, "push", "-q", "origin", "HEAD:refs/pull/7/head")
    history = open_history(opened, make_clone(remote, tmp_path / "clone"))
    with pytest.raises(MissingObject, match="dddddddddddd"):
        history.ensure(["d" * 40], {"d" * 40: "refs/pull/7/head"})


def test_only_full_commit_names_are_passed_to_git(seed: Path, remote: Path, opened: list[GitHistory]) -> None:
    for name in ("--upload-pack=touch x", "HEAD", "", "D" * 40):
        with pytest.raises(GitFailed, match="not the full name of a commit"):
            open_history(opened, seed).ensure([name])


def test_a_partial_clone_is_fetched_at_once_and_not_blob_by_blob(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]
) -> None:
    git(remote, "config", "uploadpack.allowFilter", "true")
    head = commit(seed, {f"m/{number}.yaml": f"{number}\n" for number in range(3)})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{remote}", str(clone))
    trace = tmp_path / "trace"
    history = open_history(opened, clone, GIT_TRACE=str(trace))
    files = history.list_files(head, ["m"])
    assert sorted(history.read(file.blob for file in files.values()).values()) == [b"0\n", b"1\n", b"2\n"]
    assert trace.read_text().count("built-in: git fetch ") == 1


def test_the_repositorys_own_configuration_and_replaced_objects_do_not_count(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]
) -> None:
    one = commit(seed, {"a.yaml": "1\r\n", ".gitattributes": "* text export-ignore ident filter=evil\n"})
    two = commit(seed, {"a.yaml": "$Id$\n"})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", f"file://{remote}", str(clone))
    git(clone, "replace", two, one)
    for hook in ("reference-transaction", "post-checkout"):
        path = clone / ".git/hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        path.chmod(0o755)
    for key in ("filter.evil.smudge", "core.fsmonitor", "core.alternateRefsCommand", "remote.origin.uploadpack"):
        git(clone, "config", key, f"touch {tmp_path}/ran;")
    git(clone, "config", "core.autocrlf", "true")
    history = open_history(opened, clone)
    assert history.read_line(two).commits[:2] == (two, one)
    topic = commit(seed, {"b": "1\n"})
    write_tree(history, two, tmp_path / "out", ["a.yaml"])
    history.ensure([topic])
    assert (tmp_path / "out/a.yaml").read_bytes() == b"$Id$\n"
    assert not (tmp_path / "ran").exists()


def test_credentials_of_the_process_reach_the_remote(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]
) -> None:
    made = [commit(seed, {"a": f"{number}\n"}) for number in range(3)]
    with serve_over_http(remote, "x-access-token", "secret") as url:
        clone = make_clone(remote, tmp_path / "clone")
        git(clone, "remote", "set-url", "origin", url)
        with pytest.raises(GitFailed):
            open_history(opened, clone).read_line(made[-1])
        header = f"Authorization: {basic('x-access-token', 'secret')}"
        key = f"{url.rpartition('/')[0]}/"
        given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{key}.extraheader", "GIT_CONFIG_VALUE_0": header}
        assert open_history(opened, clone, **given).read_line(made[-1]).commits[:3] == tuple(reversed(made))


# --- written files ---------------------------------------------------------------------------------


def test_a_tree_is_written_as_it_is(remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]) -> None:
    (seed / "m").mkdir()
    (seed / "m/link.yaml").symlink_to("../../outside.yaml")
    (seed / "m/folder").symlink_to("sub")
    head = commit(seed, {"m/sub/a.yaml": BODY, "m/é.yaml": BODY, "m/empty.yaml": "", "reconciler.toml": "x = 1\n"})
    out = tmp_path / "out"
    write_tree(open_history(opened, seed), head, out, ["m", "reconciler.toml", "missing.yml"])
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()) == sorted(
        ["m/empty.yaml", "m/link.yaml", "m/sub/a.yaml", "m/é.yaml", "reconciler.toml"]
    )
    assert os.readlink(out / "m/link.yaml") == "../../outside.yaml"
    assert os.readlink(out / "m/folder") == "sub"
    assert (out / "m/sub/a.yaml").read_text() == BODY


def write_tree(history: GitHistory, commit: str, folder: Path, paths: list[str]) -> None:
    history.write_files(history.list_files(commit, paths), folder)


def make_tree(seed: Path, entries: list[tuple[str, str, str]]) -> str:
    """Commit a tree that git itself would not make. Each entry is a mode, a name, and the object."""
    data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(sha) for mode, name, sha in entries)
    made = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        cwd=seed,
        input=data,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return git(seed, "commit-tree", "-m", "Odd", made.strip()).strip()


@pytest.mark.parametrize("name", ["..", ".", "../../x"])
def test_a_name_that_leaves_the_folder_is_refused(
    remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory], name: str
) -> None:
    blob = git(seed, "rev-parse", "HEAD:README").strip()
    odd = make_tree(seed, [("100644", name, blob)])
    with pytest.raises(UnsafeName):
        write_tree(open_history(opened, seed), odd, tmp_path / "in/out", [])
    assert not (tmp_path / "in").exists()


def test_no_file_is_written_through_a_link(remote: Path, seed: Path, tmp_path: Path, opened: list[GitHistory]) -> None:
    """The tree has a link and a folder of one name."""
    blob = git(seed, "rev-parse", "HEAD:README").strip()
    inner = git(seed, "rev-parse", "HEAD^{tree}").strip()
    target = git(seed, "hash-object", "-w", "--stdin", stdin=str(tmp_path / "target")).strip()
    (tmp_path / "target").mkdir()
    odd = make_tree(seed, [("120000", "a", target), ("40000", "a", inner)])
    history = open_history(opened, seed)
    assert history.list_files(odd) == {"a": TreeFile("120000", target), "a/README": TreeFile("100644", blob)}
    with pytest.raises(UnsafeName):
        write_tree(history, odd, tmp_path / "out", [])
    assert list((tmp_path / "target").iterdir()) == []
