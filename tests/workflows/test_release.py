"""The release's workflow as a dry run: its commands run in a clone with a tag; only `gh` is a recorder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler import __version__
from tests.acceptance.conftest import ROOT
from tests.contract.remotes import git
from tests.workflows.conftest import load

TAG = f"v{__version__}"
MAJOR = TAG.partition(".")[0]
WORKFLOWS = ROOT / ".github/workflows"
JOBS = load(WORKFLOWS / "release.yml")["jobs"]
# These need a package index; `make test-wheel` runs the second.
NEEDS_NETWORK = ("python -m pip install ", "python .ci/try_wheel.py ")


@dataclass(frozen=True)
class Clone:
    """This checkout's files, committed and tagged, and a `gh` that records its calls."""

    folder: Path
    environ: Mapping[str, str]

    @property
    def commit(self) -> str:
        return git(self.folder, "rev-parse", "HEAD").strip()

    def run_jobs(self, *names: str) -> None:
        """Run all commands of these jobs, except those that need a package index."""
        for name in names:
            for step in JOBS[name]["steps"]:
                command = step.get("run", "")
                if command and not command.startswith(NEEDS_NETWORK):
                    self.run(command)

    def run(self, command: str, code: int = 0) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def calls_of_gh(self) -> list[list[str]]:
        path = self.folder.parent / "calls"
        return [shlex.split(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    folder = tmp_path / "clone"
    listed = (
        git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard") if (ROOT / ".git").exists() else ""
    )
    if not listed:
        pytest.skip("the files that a release is made of are known from git alone")
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "Release")
    git(folder, "tag", TAG)
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", "python3"):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    calls = shlex.quote(str(tmp_path / "calls"))
    notes = shlex.quote(str(tmp_path / "notes.md"))
    (programs / "gh").write_text(
        "#!/usr/bin/env bash\n"
        f'printf "%q " "$@" >> {calls}; echo >> {calls}\n'
        "while (($#)); do\n"
        f'  if [[ "$1" == --notes-file ]]; then cp -- "$2" {notes}; fi\n'
        "  shift\n"
        "done\n"
        f"[[ -e {shlex.quote(str(tmp_path / 'released'))} || $(tail -n 1 {calls}) != 'release view '* ]]\n"
    )
    for path in programs.iterdir():
        path.chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "TAG": TAG, "BRANCH": "origin/main"}
    return Clone(folder, environ)


def test_a_release_is_complete_except_for_its_upload(clone: Clone) -> None:
    """Both files are built, the wheel from the source; the release has them and its changelog; the major tag moves."""
    ready(clone)
    clone.run_jobs("check", "build", "github")
    source = f"plug_reconciler-{__version__}.tar.gz"
    wheel = f"plug_reconciler-{__version__}-py3-none-any.whl"
    view, create, move = clone.calls_of_gh()
    assert view == ["release", "view", TAG]
    assert create[:6] == ["release", "create", TAG, "--verify-tag", "--title", __version__]
    assert [Path(name).name for name in create[8:]] == [wheel, source]
    assert move == [
        "api", "--silent", "--method", "POST", "repos/{owner}/{repo}/git/refs",
        "-f", f"ref=refs/tags/{MAJOR}", "-f", f"sha={clone.commit}",
    ]  # fmt: skip
    notes = (clone.folder.parent / "notes.md").read_text()
    assert notes.startswith("### Added\n") and "\n## " not in notes
    with tarfile.open(clone.folder / "dist" / source) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    tracked = set(git(clone.folder, "ls-files").splitlines())
    assert packed - tracked == {"PKG-INFO"}, "a file that is not tracked"
    assert tracked - packed == set(), "the source distribution is not complete"
    with zipfile.ZipFile(clone.folder / "dist" / wheel) as archive:
        names = set(archive.namelist())
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"reconciler", f"plug_reconciler-{__version__}.dist-info"}
    assert f"plug_reconciler-{__version__}.dist-info/licenses/LICENSE" in names


def test_a_job_that_runs_again_completes_its_release(clone: Clone) -> None:
    """The files are uploaded again, and the existing tag is moved."""
    ready(clone)
    git(clone.folder, "tag", MAJOR)
    (clone.folder.parent / "released").touch()
    (clone.folder / "dist").mkdir()
    (clone.folder / "dist" / "a.whl").touch()
    clone.run_jobs("github")
    _, upload, move = clone.calls_of_gh()
    assert upload[:4] == ["release", "upload", TAG, "--clobber"]
    assert move[2:] == [
        "--method", "PATCH", f"repos/{{owner}}/{{repo}}/git/refs/tags/{MAJOR}", "-F", "force=true",
        "-f", f"sha={clone.commit}",
    ]  # fmt: skip


def test_an_older_release_does_not_move_the_major_tag(clone: Clone) -> None:
    """After 1.4, a fix 1.3.x keeps v1 at 1.4."""
    ready(clone)
    git(clone.folder, "tag", f"{MAJOR}.999.0")
    (clone.folder / "dist").mkdir()
    (clone.folder / "dist" / "a.whl").touch()
    clone.run_jobs("github")
    assert [call[0] for call in clone.calls_of_gh()] == ["release", "release"]


def test_a_tag_that_differs_from_the_version_stops_the_release(clone: Clone) -> None:
    """It stops before anything is built."""
    printed = clone.run("python3 .ci/release.py check v9.9.9", code=1)
    assert f"error: the project's version is {__version__}, not 9.9.9" in printed


def ready(clone: Clone) -> None:
    """Replace the changelog by one that a release accepts, as this checkout may have unreleased entries."""
    path = clone.folder / "CHANGELOG.md"
    path.write_text(f"# Changelog\n\n## Unreleased\n\n## {__version__} - 2026-11-26\n\n### Added\n\n- Something.\n")
    git(clone.folder, "commit", "-q", "--all", "-m", "Ready", "--allow-empty")
    git(clone.folder, "tag", "--force", TAG)
    git(clone.folder, "update-ref", "refs/remotes/origin/main", "HEAD")


def test_nothing_is_published_before_everything_is_checked() -> None:
    """The index and GitHub wait for CI and build, which wait for the check; the upload also waits for its switch."""

    def needed(name: str) -> set[str]:
        found = JOBS[name].get("needs", [])
        direct = {found} if isinstance(found, str) else set(found)
        return direct.union(*(needed(one) for one in direct))

    assert needed("publish") == {"check", "ci", "build"}
    assert needed("github") == {"check", "ci", "build", "publish"}
    assert JOBS["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in load(WORKFLOWS / "ci.yml")["on"]
    assert JOBS["publish"]["if"] == "vars.PUBLISH == 'true'"
    assert JOBS["publish"]["permissions"] == {"id-token": "write"}
    steps: list[dict[str, Any]] = JOBS["publish"]["steps"]
    assert [step["uses"].partition("@")[0] for step in steps] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ], "nothing of the checkout runs in the job that has the identity"
    assert steps[1]["with"]["attestations"] == "true"


def test_only_a_full_version_starts_a_release() -> None:
    """The moving tag, which the release itself sets, doesn't start one, and no other tag does."""
    (pattern,) = load(WORKFLOWS / "release.yml")["on"]["push"]["tags"]
    expression = pattern.replace(".", r"\.")  # GitHub's patterns here only use + and [0-9].
    assert re.fullmatch(expression, TAG)
    assert not re.fullmatch(expression, MAJOR)
