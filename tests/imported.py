"""Git histories that are made in one process, of trees as mappings of paths to contents."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.contract.remotes import git

LINK = "link:"  # begins the content of a symbolic link; its target follows


def make_repository(folder: Path) -> Path:
    """Make an empty repository."""
    git(folder.parent, "init", "-q", "-b", "main", str(folder))
    return folder


def import_line(repository: Path, trees: Sequence[Mapping[str, str]], *, branch: str = "main") -> list[str]:
    """Commit one tree after the other, the first without a parent, and return the commits."""
    return import_commits(repository, [(tree, [number] if number else []) for number, tree in enumerate(trees)], branch)


def import_commits(
    repository: Path, commits: Sequence[tuple[Mapping[str, str], Sequence[int | str]]], branch: str = "main"
) -> list[str]:
    """Commit trees with their parents: the number of an earlier one of these, from 1, or a commit."""
    stream = bytearray()
    for mark, (tree, parents) in enumerate(commits, 1):
        if not parents:
            stream += f"reset refs/heads/{branch}\n\n".encode()
        stream += f"commit refs/heads/{branch}\nmark :{mark}\ncommitter a <a@example.com> {mark} +0000\n".encode()
        stream += f"data {len(str(mark))}\n{mark}\n".encode()
        for word, parent in zip(("from", *["merge"] * 10), parents, strict=False):
            stream += f"{word} {f':{parent}' if isinstance(parent, int) else parent}\n".encode()
        stream += b"deleteall\n"
        for path, content in tree.items():
            mode = "120000" if content.startswith(LINK) else "100644"
            data = content.removeprefix(LINK).encode()
            stream += f"M {mode} inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
    marks = repository / ".git" / "marks"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force", f"--export-marks={marks}"],
        cwd=repository,
        env=environ,
        input=bytes(stream),
        check=True,
        capture_output=True,
    )
    found = dict(line.split() for line in marks.read_text().splitlines())
    return [found[f":{mark}"] for mark in range(1, len(commits) + 1)]
