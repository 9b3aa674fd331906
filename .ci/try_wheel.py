"""Install the wheel of a folder into an empty environment, and run it in an empty folder, as a user would.

try_wheel.py FOLDER

Of the checkout it uses only the lock, whose packages are installed with their hashes. The environment is made with the
Python that runs this.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
# Windows starts no program without the first; pip may need the others.
KEPT = ("SYSTEMROOT", "PATHEXT", "COMSPEC")


@dataclass(frozen=True)
class Installed:
    """The program in its environment, and the folder in which it runs."""

    program: Path
    folder: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        """Return what it prints. Exit if its code is not `code`."""
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env=make_environ(self.folder),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode != code:
            sys.exit(
                f"reconciler {' '.join(arguments)}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
            )
        return done.stdout + done.stderr


def make_environ(home: Path) -> Mapping[str, str]:
    """Return an environment without variables of this project or the user."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "PATH": os.environ["PATH"], "HOME": str(home), "USERPROFILE": str(home), "LANG": "C.UTF-8"}


def install(wheel: Path, folder: Path) -> Path:
    """Make the environment `folder` with the wheel and its locked dependencies; return its program."""
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    for wanted in (["--require-hashes", "-r", str(LOCK)], ["--no-deps", str(wheel)]):
        subprocess.run([*pip, *wanted], check=True)
    return programs / "reconciler"


def try_commands(installed: Installed) -> None:
    """Run the commands of a new user. Exit at the first wrong result."""
    print(installed.run("--version").strip())
    installed.run("init")
    installed.run("validate")
    installed.run("schema")
    installed.run("plan", "--detailed-exitcode", "--state", ".reconciler/state", code=2)
    installed.run("demo")
    answer = installed.run("plan", "--state", "s3://bucket/prefix", code=3)
    if "plug-reconciler[objects]" not in answer:
        sys.exit(f"without the extra, s3:// doesn't name it:\n{answer}")


def main(folder: Path) -> int:
    (wheel,) = folder.glob("*.whl")
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        try_commands(Installed(install(wheel, Path(scratch) / "venv"), work))
    print(f"{wheel.name} runs alone on Python {sys.version.split()[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
