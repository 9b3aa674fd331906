"""The runner of git: which program runs, its environment, and which lines of its output are shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.io.git.command import (
    NO_REASON,
    REASON_LENGTH,
    GitFailed,
    GitUnusable,
    check_version,
    find_program,
    hide_user_info,
    run_git,
    summarize,
)

pytestmark = pytest.mark.posix  # git is a shell script here


def make_git(folder: Path, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_git_is_found_in_the_first_absolute_folder_of_path(tmp_path: Path) -> None:
    second = make_git(tmp_path / "second", "exit 0")
    make_git(tmp_path / "third", "exit 0")
    path = os.pathsep.join(str(tmp_path / name) for name in ("first", "second", "third"))
    assert find_program({"PATH": path}) == str(second)


@pytest.mark.parametrize("entry", ["", ".", "bin", "./bin", "bin/../bin"])
def test_git_is_never_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    """A checkout may hold a program of that name. git does not find ssh there either."""
    marker = tmp_path / "marker"
    for folder in (tmp_path, tmp_path / "bin"):
        make_git(folder, f"touch '{marker}'")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GitUnusable, match="git was not found on PATH"):
        run_git(["--version"], tmp_path, {"PATH": entry})
    real = make_git(tmp_path / "real", 'echo "$PATH"')
    printed = run_git(["--version"], tmp_path, {"PATH": os.pathsep.join([entry, str(real.parent)])})
    assert printed.decode().strip() == str(real.parent)
    assert not marker.exists()


def test_a_folder_and_a_file_that_can_not_run_are_no_program(tmp_path: Path) -> None:
    (tmp_path / "a" / "git").mkdir(parents=True)
    make_git(tmp_path / "b", "exit 0").chmod(0o644)
    with pytest.raises(GitUnusable, match="git was not found on PATH"):
        find_program({"PATH": f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}"})


def test_a_program_that_can_not_be_started_is_named(tmp_path: Path) -> None:
    program = make_git(tmp_path, "exit 0")
    program.write_text("#!/nonexistent/shell\n")
    with pytest.raises(GitUnusable, match=rf"{program} can't be run: No such file or directory\. Install git"):
        run_git(["--version"], tmp_path, {"PATH": str(tmp_path)})


def test_a_folder_that_is_gone_is_not_a_missing_git(tmp_path: Path) -> None:
    make_git(tmp_path, "exit 0")
    with pytest.raises(GitUnusable, match="gone is gone, and git works there"):
        run_git(["--version"], tmp_path / "gone", {"PATH": str(tmp_path)})


@pytest.mark.parametrize(
    "said",
    ["2.31.0", "2.31", "2.39.5", "2.39.5 (Apple Git-154)", "2.45.1.windows.1", "2.50.0-rc1", "2.52.GIT", "3.0.0"],
)
def test_a_version_that_is_new_enough_is_asked_for_once(tmp_path: Path, said: str) -> None:
    log = tmp_path / "log"
    make_git(tmp_path, f"echo asked >>'{log}'; echo 'git version {said}'")
    check_version({"PATH": str(tmp_path)})
    check_version({"PATH": str(tmp_path)})
    assert log.read_text() == "asked\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo git version 2.20.1", "git 2.20.1 at {program} is too old: the git state needs 2.31 or later"),
        ("echo git version 2.30.9", "git 2.30.9 at {program} is too old: the git state needs 2.31 or later"),
        ("echo git version 1.99", "git 1.99 at {program} is too old: the git state needs 2.31 or later"),
        ("echo hello", "{program} does not say its version: the git state needs 2.31 or later"),
        ("echo broken >&2; exit 1", "{program} is not usable: broken. Install git"),
        (
            "echo fatal: bad config line 1 in file /home/ana/.gitconfig >&2; exit 128",
            "{program} is not usable: bad config line 1 in file /home/ana/.gitconfig. Correct that file",
        ),
    ],
)
def test_any_other_version_is_named_with_its_program(tmp_path: Path, script: str, message: str) -> None:
    program = make_git(tmp_path, script)
    with pytest.raises(GitUnusable) as caught:
        check_version({"PATH": str(tmp_path)})
    assert str(caught.value).startswith(message.format(program=program))
    assert str(caught.value).endswith(", or set `state` to a folder")


def test_git_is_given_no_variable_that_leads_it_elsewhere(tmp_path: Path) -> None:
    make_git(tmp_path, "env")
    kept = {"GIT_SSH_COMMAND": "ssh -4", "GIT_CONFIG_COUNT": "0", "GIT_SSL_NO_VERIFY": "0", "HOME": "/home/ana"}
    led = {"GIT_DIR": "x", "GIT_WORK_TREE": "x", "GIT_INDEX_FILE": "x", "GIT_OBJECT_DIRECTORY": "x", "GIT_CONFIG": "x"}
    given = run_git(["x"], tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin", **kept, **led}).decode().splitlines()
    found = dict(line.split("=", 1) for line in given if line.startswith(("GIT_", "HOME", "LC_ALL")))
    assert found == {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


@pytest.mark.parametrize("number", ["INT", "HUP", "TERM", "KILL"])
def test_a_command_that_a_signal_ends_is_run_again(tmp_path: Path, number: str) -> None:
    """Ctrl-C in a terminal ends git too, while this program still has to record PUTs in flight."""
    make_git(tmp_path, f"cat; echo x >>'{tmp_path}/runs'; test $(wc -l <'{tmp_path}/runs') = 3 || kill -{number} $$")
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert run_git(["fast-import"], tmp_path, environ, stdin=b"all of it") == b"all of it"
    assert (tmp_path / "runs").read_text() == "x\n" * 3


def test_a_command_that_signals_always_end_is_reported(tmp_path: Path) -> None:
    make_git(tmp_path, "kill -KILL $$")
    with pytest.raises(GitFailed, match=r"git was ended from outside 3 times \(code -9\)"):
        run_git(["push"], tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"})


@pytest.mark.parametrize("text", ["https://ana:p@ss@host.test/x", "https://ana@host.test/x", "https://@host.test/x"])
def test_a_password_that_holds_an_at_is_hidden_whole(text: str) -> None:
    assert hide_user_info(f"no {text} of ana@host.test") == "no https://host.test/x of ana@host.test"


def test_what_is_logged_holds_no_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_git(tmp_path, "echo 'fatal: no https://ana:canary@host.test/x' >&2; exit 1")
    with caplog.at_level("DEBUG"), pytest.raises(GitFailed) as caught:
        run_git(["fetch", "https://ana:canary@host.test/x"], tmp_path, {"PATH": str(tmp_path)})
    assert caught.value.reason == "no https://host.test/x"
    assert [record.getMessage() for record in caplog.records] == [
        f"run in {tmp_path}: git fetch https://host.test/x",
        "git fetch said: no https://host.test/x",
    ]


GH013 = """\
remote: Resolving deltas: 100% (1/1), done.
remote: error: GH013: Repository rule violations found for refs/heads/state.        
remote: 
remote: - Cannot update this protected ref.        
remote: 
remote: - Commits must have verified signatures.        
remote:   Found 1 violation:        
remote: 
error: failed to push some refs to 'https://x-access-token:canary@github.com/acme/plug.git'
"""  # noqa: W291 - as GitHub prints it


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("", NO_REASON),
        ("fatal: no answer\n", "no answer"),
        ("\n", NO_REASON),
        ("one\ntwo\nthree\nfour\n", "two; three; four"),
        (
            "error: unable to write loose object file: No space left on device\nfatal: unpack-objects failed\n",
            "unable to write loose object file: No space left on device",
        ),
        (
            "*** For members of staff ***\nLoad key /x: invalid format\nana@host: Permission denied (publickey).\n"
            "fatal: Could not read from remote repository.\n",
            "Load key /x: invalid format; ana@host: Permission denied (publickey).",
        ),
        (
            GH013,
            "GH013: Repository rule violations found for refs/heads/state.; - Cannot update this protected ref.; "
            "- Commits must have verified signatures.; Found 1 violation:",
        ),
        (
            "Host key verification failed.\r\nfatal: Could not read from remote repository.\n\n"
            "Please make sure you have the correct access rights\nand the repository exists.\n",
            "Host key verification failed.",
        ),
        (
            "Warning: Permanently added 'github.com' (ED25519) to the list of known hosts.\n"
            "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n",
            "git@github.com: Permission denied (publickey).",
        ),
        ("fatal: Could not read from remote repository.\n", "Could not read from remote repository."),
        (
            "remote: Permission to acme/plug.git denied to github-actions[bot].\n"
            "fatal: unable to access 'https://github.com/acme/plug/': The requested URL returned error: 403\n",
            "Permission to acme/plug.git denied to github-actions[bot].; unable to access "
            "'https://github.com/acme/plug/': The requested URL returned error: 403",
        ),
        (
            "hint: Updates were rejected\nhint: because\nerror: src refspec x does not match any\n",
            "src refspec x does not match any",
        ),
    ],
)
def test_the_reason_is_what_git_ssh_and_the_remote_say(stderr: str, reason: str) -> None:
    assert summarize(stderr) == reason


def test_a_long_reason_is_cut() -> None:
    assert len(summarize("remote: " + "x" * 10_000)) == REASON_LENGTH
