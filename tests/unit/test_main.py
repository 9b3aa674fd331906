"""The entry point: whose modules run, and which bytes stdout gets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import reconciler
from tests.measured import measured

ROOT = Path(reconciler.__file__).parents[1]
PLANTED = ("click", "httpx", "yaml", "rich", "pydantic", "contextlib" if sys.version_info >= (3, 12) else "asyncio")
RAN = "a module of the checkout ran"


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments],
        cwd=folder,
        env={**measured(), "PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **environ},
        capture_output=True,
        timeout=180,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder of manifests in which files are named like libraries."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text(f"import os; os.write(2, b'{RAN}: {name}\\n')\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("validate",), ("plan",)])
def test_no_module_of_the_working_directory_is_imported(checkout: Path, arguments: tuple[str, ...]) -> None:
    """`python -m` puts that folder first on the path. A reviewed branch may hold a click.py."""
    ran = run(checkout, *arguments, PYTHONPATH=str(ROOT))
    assert (ran.returncode, ran.stderr.decode().count(RAN)) == (0, 0)


def test_the_package_in_the_working_directory_runs_with_the_installed_libraries(checkout: Path) -> None:
    """In a developer's checkout, this may be the only place that has the package."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "reconciler", checkout / "reconciler", ignore=skipped)
    ran = run(checkout, "validate")
    assert (ran.returncode, ran.stderr.decode().count(RAN)) == (0, 0)


def test_a_folder_that_pythonpath_names_counts(checkout: Path) -> None:
    """The user asked for it; only the folder that `python -m` adds is removed."""
    ran = run(checkout, "--help", PYTHONPATH=f"{ROOT}{os.pathsep}{checkout}", PYTHONSAFEPATH="1")
    assert RAN in ran.stderr.decode()


def test_no_program_of_the_working_directory_is_run_on_windows(tmp_path: Path) -> None:
    """Windows looks there first, unless the process sets a variable before it starts a program."""
    script = "import os, sys; sys.argv = ['reconciler', '--version']\nimport reconciler.__main__ as m\n"
    script += "os._exit = lambda code: os.write(1, os.environ['NoDefaultCurrentDirectoryInExePath'].encode())\nm.main()"
    for given, expected in ({}, b"1"), ({"NoDefaultCurrentDirectoryInExePath": "0"}, b"0"):
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given}
        ran = subprocess.run([sys.executable, "-c", script], env=environ, cwd=tmp_path, capture_output=True)
        assert ran.stdout.splitlines()[-1] == expected


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_a_log_does_not_have_are_escaped(checkout: Path, encoding: str) -> None:
    """This is not an error: a result is shown in any encoding."""
    ran = run(checkout, "plan", "-e", "produção", PYTHONPATH=str(ROOT), PYTHONIOENCODING=encoding)
    assert ran.returncode == 3
    assert (b"produ\\xe7\\xe3o" if encoding == "ascii" else "produção".encode(encoding)) in ran.stderr
