"""Check what no linter checks: the locks hold only packages and hashes, and no file names a package registry.

The user who installs the packages decides where they come from. A lock that names an index, a mirror or a folder of
the machine on which it was made works only there. The registry's host is read from pip's help, so that this file does
not name it either.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

LOCKS = ("requirements.lock", "requirements-objects.lock", "requirements-dev.lock", "requirements-audit.lock")
LOCK_LINE = re.compile(
    # a package with its extras, its version, and the condition under which it is installed; then its hashes
    r"[a-z0-9][a-z0-9-]*(?:\[[a-z0-9,-]+\])?==[A-Za-z0-9.!+]+(?: ; [^/\\]+)? \\"
    r"|    --hash=sha256:[0-9a-f]{64}(?: \\)?",
)
# the address of a file that pip could install; hosts below `example` are reserved
PACKAGE_FILE = re.compile(rb"https?://(?![\w.-]*example(?:\.com|\.org)?/)[^\s\"'<>]+\.(?:whl|tar\.gz)\b")
INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
# generated files, which are left out if there is no git to list the tracked ones
MADE = {
    ".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".reconciler",
    "build", "dist", "htmlcov",
}  # fmt: skip


def main() -> int:
    hosts = [*find_default_hosts(), *find_own_hosts(os.environ)]
    faults = [*find_lock_faults(), *find_registries(find_files(), hosts)]
    print("\n".join(faults) or "no file names a package registry; the locks hold packages and hashes only")
    return 1 if faults else 0


def find_lock_faults() -> Iterator[str]:
    """Yield each line of a lock that is neither a pinned package nor a hash: an index, a URL, a path, an option."""
    for name in LOCKS:
        for number, line in enumerate(Path(name).read_text(encoding="utf-8").splitlines(), 1):
            if not LOCK_LINE.fullmatch(line):
                yield f"{name}:{number}: neither a pinned package nor a hash (write the locks with `make lock`)"


def find_registries(files: Iterable[Path], hosts: Iterable[str]) -> Iterator[str]:
    """Yield each line of `files` that names one of `hosts`, or the address of a package's file."""
    names = [host.lower().encode() for host in hosts]
    for path in files:
        for number, line in enumerate(path.read_bytes().lower().splitlines(), 1):
            if any(name in line for name in names):
                yield f"{path}:{number}: names a package registry's host"
            elif PACKAGE_FILE.search(line):
                yield f"{path}:{number}: has the address of a package's file"


def find_default_hosts() -> list[str]:
    """Return the hosts that pip uses by itself: its help for `--index-url` shows the default."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    command = [sys.executable, "-m", "pip", "--isolated", "help", "install"]
    text = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    found = re.search(r"--index-url <url>[^(]*\(default\s+(https://\S+?)\)", text)
    if found is None:
        sys.exit("the help of `pip install` names no default for --index-url any more: change find_default_hosts")
    return [urlsplit(found[1]).netloc]


def find_own_hosts(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the hosts of this machine's package indexes: the name of a mirror could get into a file."""
    for url in " ".join(environ.get(name, "") for name in INDEX_VARIABLES).split():
        host = urlsplit(url).hostname or ""
        if "." in host and not host.replace(".", "").isdigit():
            yield host


def find_files() -> Iterator[Path]:
    """Yield the files that git tracks or would track; without git, all files that are not generated."""
    git = shutil.which("git")
    command = [git or "", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, check=False) if git else None
    if listing is not None and listing.returncode == 0:
        found = (Path(os.fsdecode(name)) for name in listing.stdout.split(b"\0") if name)
    else:
        found = (path for path in Path().rglob("*") if MADE.isdisjoint(path.parts))
    yield from sorted({path for path in found if path.is_file()})


if __name__ == "__main__":
    sys.exit(main())
