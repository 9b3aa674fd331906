"""The documents' commands work as they are written, in a new folder, and print what the documents show."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT
from tests.acceptance.documents import TRIED, Section, Shell, differ, find_free_port, find_tried
from tests.forked import FORKS

PAGES = ("README.md", "README.pt-BR.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
SECTIONS = [
    pytest.param(section, id=f"{page}: {heading}")
    for page in PAGES
    for heading, section in find_tried(str(ROOT / page)).items()
]


WHO = {"NAME": "Ana", "EMAIL": "ana@acme.com.br"}


def test_both_readmes_are_tried() -> None:
    """Without this test, a section that lost its marker would go untested unnoticed."""
    for page in ("README.md", "README.pt-BR.md"):
        assert len(TRIED.findall((ROOT / page).read_text(encoding="utf-8"))) == 2
        assert len(find_tried(str(ROOT / page))) == 2


@pytest.mark.parametrize("section", SECTIONS)
def test_every_command_prints_what_the_document_shows(section: Section, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    program = tmp_path / "bin/reconciler"
    FORKS.write_program(tmp_path / "forked")
    # The sandbox gets signals, so it needs its own process.
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = sandbox ]; then exec "{sys.executable}" -m reconciler "$@"; fi\n'
        f'exec "{tmp_path}/forked" "$@"\n'
    )
    program.chmod(0o755)
    environ = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in WHO.items()},
    }
    shell = Shell(tmp_path / "work", environ, {8787: find_free_port()})
    try:
        for typed in section.before:
            shell.type(typed)
        for command in section.commands:
            wrong = differ(command.output, shell.type(command.typed))
            assert wrong is None, f"$ {command.typed}\n{wrong}"
    finally:
        shell.close()


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["one", "two"], "one\ntwo\n", True),
        (["one"], "one\ntwo\n", False),
        (["one", "…"], "one\ntwo\nthree\n", True),
        (["one", "…", "three"], "one\ntwo\nthree\n", True),
        (["one", "…", "four"], "one\ntwo\nthree\n", False),
        (["took 0.3 s"], "took 12.1 s\n", True),
        (["took 3 attempts"], "took 2 attempts\n", False),
        ([], "an error\n", False),
    ],
)
def test_the_comparison_sees_a_difference(shown: list[str], printed: str, same: bool) -> None:
    assert (differ(shown, printed) is None) == same
