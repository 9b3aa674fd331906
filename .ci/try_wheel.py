"""Runs an installed wheel in an empty folder, as a user would: nothing of the checkout is within reach.

try_wheel.py PATH/TO/reconciler
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


def main(program: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:

        def run(*arguments: str, code: int = 0) -> str:
            done = subprocess.run(
                [program, *arguments],
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "HOME": folder, "LANG": "C.UTF-8"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != code:
                sys.exit(
                    f"reconciler {' '.join(arguments)}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
                )
            return done.stdout + done.stderr

        print(run("--version").strip())
        print(run("init"))
        run("validate")
        run("schema")
        state = ("--state", ".reconciler/state")
        run("plan", "--detailed-exitcode", *state, code=2)
        run("demo")
        told = run("plan", "--state", "s3://bucket/prefix", code=3)
        if "plug-reconciler[objects]" not in told:
            sys.exit(f"without the extra, s3:// says nothing of it:\n{told}")
    print("the wheel runs alone")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
