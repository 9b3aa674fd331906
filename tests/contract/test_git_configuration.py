"""The user's git configuration applies to the state like to `git fetch`, and only one address is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.errors import Corrupt, Unreachable
from reconciler.ports import Write
from reconciler.state.git import GitStore
from tests.contract.remotes import basic, git, make_clone, make_remote, serve_guarded
from tests.contract.test_stores import document, put

BRANCH = "reconciler-state"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return make_remote(tmp_path)


@pytest.fixture
def clone(remote: Path, tmp_path: Path) -> Path:
    return make_clone(remote, tmp_path / "clone")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def environ_of(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **more}


def open_store(clone: Path, home: Path, remote: str = "origin", **more: str) -> GitStore:
    return GitStore(clone, remote, BRANCH, environ=environ_of(home, **more), sleep=lambda seconds: None)


def git_fetch(clone: Path, home: Path) -> None:
    """Run what the user would run: it must work before the state is expected to."""
    subprocess.run(["git", "fetch", "-q"], cwd=clone, env=environ_of(home), check=True, capture_output=True)


def include_for(home: Path, clone: Path, config: str) -> None:
    """Write a global configuration with a part for this checkout only."""
    (home / ".gitconfig").write_text(f'[includeIf "gitdir:{clone}/"]\n\tpath = work.inc\n')
    (home / "work.inc").write_text(config)


def has_branch(remote: Path) -> bool:
    return BRANCH in git(remote, "for-each-ref")


# --- includeIf -------------------------------------------------------------------------------------


def test_an_address_that_includeif_rewrites_is_reached(remote: Path, clone: Path, home: Path) -> None:
    git(clone, "remote", "set-url", "origin", "acme:plug")
    include_for(home, clone, f'[url "file://{remote.parent}/"]\n\tinsteadOf = acme:\n')
    remote.rename(remote.with_name("plug"))
    git_fetch(clone, home)
    store = open_store(clone, home)
    put(store, document())
    assert store.names() == {"production"}
    store.close()


def test_the_ssh_command_of_includeif_is_used(remote: Path, clone: Path, home: Path, tmp_path: Path) -> None:
    """It represents a key for this customer only."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\nshift $(($# - 1))\nexec sh -c "$1"\n')
    ssh.chmod(0o755)
    git(clone, "remote", "set-url", "origin", f"ssh://git@host.test{remote}")
    (home / ".gitconfig").write_text("[core]\n\tsshCommand = false\n[ssh]\n\tvariant = ssh\n")
    with (home / ".gitconfig").open("a") as file:
        file.write(f'[includeIf "gitdir:{clone}/"]\n\tpath = work.inc\n')
    (home / "work.inc").write_text(f"[core]\n\tsshCommand = {ssh}\n")
    git_fetch(clone, home)
    store = open_store(clone, home)
    put(store, document())
    assert has_branch(remote)
    assert "git-receive-pack" in (tmp_path / "asked").read_text()
    store.close()


@pytest.mark.parametrize("where", ["the checkout", "the user's file", "includeIf"])
def test_a_header_is_sent_once_wherever_it_is_kept(where: str, remote: Path, clone: Path, home: Path) -> None:
    """GitHub refuses a request with two (400)."""
    git(remote, "config", "http.receivepack", "true")
    ours = basic("x", "canary")
    with serve_guarded(remote, lambda header, _: header == ours) as url:
        git(clone, "remote", "set-url", "origin", url)
        config = f'[http "{url}"]\n\textraHeader = Authorization: {ours}\n'
        if where == "the checkout":
            git(clone, "config", f"http.{url}.extraHeader", f"Authorization: {ours}")
        elif where == "includeIf":
            include_for(home, clone, config)
        else:
            (home / ".gitconfig").write_text(config)
        git_fetch(clone, home)
        store = open_store(clone, home)
        put(store, document())
        assert store.names() == {"production"}
        store.close()


@pytest.mark.parametrize("where", ["the user's file", "includeIf"])
def test_a_credential_helper_is_asked(where: str, remote: Path, clone: Path, home: Path, tmp_path: Path) -> None:
    """The order is git's: an empty helper cancels those before it."""
    git(remote, "config", "http.receivepack", "true")
    with serve_guarded(remote, lambda header, _: header == basic("ana", "canary")) as url:
        git(clone, "remote", "set-url", "origin", url)
        wrong = f"[credential]\n\thelper = \"!touch '{tmp_path}/wrong'; false\"\n"
        right = '[credential]\n\thelper =\n\thelper = "!echo username=ana; echo password=canary; :"\n'
        if where == "includeIf":
            include_for(home, clone, right)
            (home / ".gitconfig").write_text(wrong + (home / ".gitconfig").read_text())
        else:
            (home / ".gitconfig").write_text(wrong + right)
        git_fetch(clone, home)
        store = open_store(clone, home)
        put(store, document())
        store.close()
    assert has_branch(remote)
    assert not (tmp_path / "wrong").exists()


# --- one address -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", ["two push addresses", "two addresses", "pushInsteadOf", "insteadOf and pushInsteadOf"]
)
def test_the_address_that_is_read_is_the_one_that_is_pushed_to(
    case: str, remote: Path, clone: Path, home: Path, tmp_path: Path
) -> None:
    """A second address, which would refuse or split the state, is never used."""
    other = tmp_path / "other.git"
    git(tmp_path, "clone", "-q", "--bare", str(remote), str(other))
    hook = other / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    if case == "two push addresses":
        git(clone, "config", "--add", "remote.origin.pushurl", str(other))
        git(clone, "config", "--add", "remote.origin.pushurl", str(remote))
    elif case == "two addresses":
        git(clone, "config", "--add", "remote.origin.url", str(other))
    elif case == "pushInsteadOf":
        (home / ".gitconfig").write_text(f'[url "{other}"]\n\tpushInsteadOf = file://{remote}\n')
    else:
        git(clone, "remote", "set-url", "origin", "acme:plug")
        (home / ".gitconfig").write_text(
            f'[url "{remote}"]\n\tinsteadOf = acme:plug\n[url "{other}"]\n\tpushInsteadOf = acme:plug\n'
            f'[url "{other}"]\n\tinsteadOf = {remote}\n'
        )
    store = open_store(clone, home)
    put(store, document())
    assert store.names() == {"production"}
    assert has_branch(remote)
    assert not has_branch(other)
    store.close()


def test_a_push_address_that_is_not_used_is_reported(remote: Path, clone: Path, home: Path) -> None:
    """To read over https and push over ssh is common; here one address must do both."""
    git(remote, "config", "http.receivepack", "true")
    with serve_guarded(remote, lambda header, pushing: not pushing) as url:
        git(clone, "remote", "set-url", "origin", url)
        git(clone, "config", "remote.origin.pushurl", str(remote))
        store = open_store(clone, home)
        [result] = store.write([Write("production", document(), None)])
        store.close()
    assert isinstance(result.error, Unreachable)
    assert str(result.error).endswith(
        ". The push goes to the address that is read; `pushurl` and `pushInsteadOf` are not used"
    )
    assert not has_branch(remote)


@pytest.mark.parametrize("variable", ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"])
def test_configuration_in_variables_holds_once(variable: str, remote: Path, clone: Path, home: Path) -> None:
    """`git -c` and workflows use such variables."""
    git(remote, "config", "http.receivepack", "true")
    ours = basic("x", "canary")
    with serve_guarded(remote, lambda header, _: header == ours) as url:
        git(clone, "remote", "set-url", "origin", url)
        key, value = f"http.{url}.extraHeader", f"Authorization: {ours}"
        more = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": value}
        if variable == "GIT_CONFIG_PARAMETERS":
            more = {variable: f"'{key}'='{value}'"}
        store = open_store(clone, home, **more)
        put(store, document())
        store.close()
    assert has_branch(remote)


# --- checkouts of other kinds ----------------------------------------------------------------------


def test_a_checkout_of_another_user_says_what_to_type(clone: Path, home: Path) -> None:
    """A container's user often differs from the checkout's."""
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    for path in (clone, clone / ".git"):
        os.chown(path, 4242, 4242)
    store = open_store(clone, home)
    with pytest.raises(Unreachable) as caught:
        store.names()
    assert str(caught.value) == (
        f"state: git detected dubious ownership in repository at '{clone}': it belongs to another user. If you trust "
        f"it, run `git config --global --add safe.directory {clone}`, then run again"
    )
    subprocess.run(
        ["git", "config", "--global", "--add", "safe.directory", str(clone)], env=environ_of(home), check=True
    )
    assert store.names() == frozenset()
    store.close()


def test_a_remote_on_disk_of_another_user_says_what_to_type(remote: Path, clone: Path, home: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(remote, 4242, 4242)
    store = open_store(clone, home)
    with pytest.raises(Unreachable) as caught:
        store.names()
    assert f"run `git config --global --add safe.directory {remote}`" in str(caught.value)
    store.close()


@pytest.mark.parametrize("name", [b"pasta-\xe9", "pasta-ação".encode(), b"two\nlines", b"with space '\""])
def test_a_folder_of_any_name_is_a_checkout(name: bytes, remote: Path, home: Path, tmp_path: Path) -> None:
    """Its name may be invalid UTF-8."""
    clone = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    git(tmp_path, "clone", "-q", f"file://{remote}", str(clone))
    store = open_store(clone, home)
    put(store, document())
    assert store.names() == {"production"}
    store.close()


def test_a_link_and_a_work_tree_beside_are_checkouts(clone: Path, home: Path, tmp_path: Path, remote: Path) -> None:
    """A folder inside is one too."""
    (clone / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(clone / "deep")
    git(clone, "worktree", "add", "-q", "--detach", str(tmp_path / "beside"))
    for number, folder in enumerate([clone / "deep" / "er", tmp_path / "link", tmp_path / "beside"]):
        store = open_store(folder, home)
        put(store, document(f"e{number}"))
        store.close()
    assert git(remote, "rev-list", "--count", BRANCH) == "3\n"


def test_a_repository_of_sha256_holds_a_state(home: Path, tmp_path: Path) -> None:
    """The user's git may make such repositories by default."""
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", str(remote))
    clone = tmp_path / "clone"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(clone))
    git(clone, "remote", "add", "origin", f"file://{remote}")
    store = open_store(clone, home)
    version = put(store, document())
    assert store.read(["production"])["production"].version == version
    store.close()
    again = open_store(clone, home)
    assert again.names() == {"production"}
    assert len(git(remote, "rev-parse", BRANCH).strip()) == 64
    again.close()


def test_an_old_git_takes_no_planted_files_for_a_repository(
    remote: Path, clone: Path, home: Path, tmp_path: Path
) -> None:
    """git before 2.38 knows no `safe.bareRepository`."""
    planted = clone / "sub"
    (planted / "objects").mkdir(parents=True)
    (planted / "refs").mkdir()
    (planted / "HEAD").write_text("ref: refs/heads/main\n")
    marker = tmp_path / "marker"
    (planted / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n"
        f'[remote "origin"]\n\turl = {remote}\n\tuploadpack = "touch {marker}; git-upload-pack"\n'
    )
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text('#!/bin/sh\ntest "$2" = safe.bareRepository=explicit || exit 77\nshift 2\nexec /usr/bin/git "$@"\n')
    old.chmod(0o755)
    store = open_store(planted, home, PATH=f"{old.parent}:{os.environ['PATH']}")
    assert store.names() == frozenset()
    assert not marker.exists()
    store.close()


def test_a_branch_whose_tree_holds_a_name_of_any_bytes_is_refused_in_words(
    remote: Path, clone: Path, home: Path
) -> None:
    """A file name in Latin-1 does not crash."""
    blob = git(remote, "hash-object", "-w", "--stdin", stdin="x").strip()
    environ = {**os.environ, "GIT_DIR": str(remote)}
    listing = f"100644 blob {blob}\t".encode() + b"caf\xe9\n"
    tree = subprocess.run(["git", "mktree"], input=listing, env=environ, check=True, capture_output=True).stdout
    commit = git(remote, "commit-tree", "-m", "by hand", tree.decode().strip()).strip()
    git(remote, "update-ref", f"refs/heads/{BRANCH}", commit)
    store = open_store(clone, home)
    with pytest.raises(Corrupt, match=r"holds 'caf\\udce9', which is not a state document"):
        store.names()
    store.close()


# --- what -v shows ---------------------------------------------------------------------------------


def test_what_git_was_asked_is_logged_without_a_password(
    remote: Path, clone: Path, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Commands to the remote are logged with its name in the user's configuration; the rest needs `-vv`."""
    git(remote, "config", "http.receivepack", "true")
    with serve_guarded(remote, lambda header, _: header == basic("ana", "canary")) as url, caplog.at_level("DEBUG"):
        git(clone, "remote", "set-url", "origin", url.replace("://", "://ana:canary@"))
        store = open_store(clone, home)
        put(store, document())
        store.names()
        store.close()
    asked = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    commit = git(remote, "rev-parse", BRANCH).strip()
    assert asked == [
        f"git ls-remote origin refs/heads/{BRANCH} ({url})",
        f"git push origin {commit}:refs/heads/{BRANCH} ({url})",
        f"git ls-remote origin refs/heads/{BRANCH} ({url})",
    ]
    assert "canary" not in caplog.text
