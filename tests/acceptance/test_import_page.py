"""docs/import.md works as written: its commands, in order, print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import ROOT, TIMEOUT_S
from tests.forked import FORKS
from tests.measured import measured

PAGE = (ROOT / "docs/import.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:8787"  # The page shows this address; the test replaces it by that of its sandbox.
MARK = "@@@"


def test_the_page_can_be_followed(tmp_path: Path, sandbox: Sandbox) -> None:
    """One shell runs all blocks; the next block shows both streams of the one before."""
    accounts = dict(
        item.split("=") for item in re.findall(r"--account (\S+)", PAGE.partition("```sh")[2]) if "=" in item
    )
    sandbox.plug.options = replace(sandbox.plug.options, accounts=accounts)
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    commands = [text for kind, text in blocks if kind == "sh" and not text.startswith("reconciler sandbox")]
    shown = [
        text for (kind, text), (before, _) in zip(blocks[1:], blocks, strict=False) if (kind, before) == ("text", "sh")
    ]
    address = sandbox.base_url.removeprefix("http://")
    script = f"\necho {MARK}\n".join(["set -e", *commands]).replace(ADDRESS, address)
    (tmp_path / "bin").mkdir()
    FORKS.write_program(tmp_path / "bin" / "reconciler")
    environ = {
        **measured(),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed = [text for part in done.stdout.split(f"{MARK}\n") if (text := part.replace(address, ADDRESS))]
    assert printed == shown
