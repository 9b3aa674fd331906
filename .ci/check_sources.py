"""Guards what no linter looks at: the locks hold hashes alone, and no file names a package registry's host.

Where packages come from is the business of whoever installs them. A lock that names an index, a mirror or a
folder of the machine it was made on works there only. The hosts are taken from pip, so that this file names none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pip._internal.models.index import PyPI, TestPyPI

LOCKS = ("requirements.lock", "requirements-objects.lock", "requirements-dev.lock")
LOCK_LINE = re.compile(
    # a package with its extras, pinned, its marker, more to come
    r"[a-z0-9][a-z0-9-]*(?:\[[a-z0-9,-]+\])?==[A-Za-z0-9.!+]+(?: ; [^/\\]+)? \\"
    r"|    --hash=sha256:[0-9a-f]{64}(?: \\)?",
)
SKIPPED = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".reconciler"}


def main() -> int:
    faults = [*find_lock_faults(), *find_registry_hosts()]
    print("\n".join(faults) or "no registry's host in any file; the locks hold hashes alone")
    return 1 if faults else 0


def find_lock_faults() -> Iterator[str]:
    """Lines of a lock that are neither a pinned package nor a hash: an index, a URL, a path, an option."""
    for name in LOCKS:
        for number, line in enumerate(Path(name).read_text(encoding="utf-8").splitlines(), 1):
            if not LOCK_LINE.fullmatch(line):
                yield f"{name}:{number}: neither a pinned package nor a hash (write the locks with `make lock`)"


def find_registry_hosts() -> Iterator[str]:
    """Lines of tracked files, and of those about to be, that name a registry."""
    hosts = {host.lower().encode() for index in (PyPI, TestPyPI) for host in (index.netloc, index.file_storage_domain)}
    hosts |= set(own_indexes())
    for path in find_files():
        for number, line in enumerate(path.read_bytes().lower().splitlines(), 1):
            if any(host in line for host in hosts):
                yield f"{path}:{number}: names a package registry's host"


def own_indexes() -> Iterator[bytes]:
    """Hosts of the indexes that this machine's pip is told to use: a mirror's name would leak into a file."""
    variables = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
    for url in " ".join(os.environ.get(name, "") for name in variables).split():
        host = urlsplit(url).hostname or ""
        if "." in host and not host.replace(".", "").isdigit():
            yield host.encode()


def find_files() -> Iterator[Path]:
    """What git tracks or would track; without git, everything but what is made."""
    git = shutil.which("git")
    command = [git or "", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, check=False) if git else None
    if listing is not None and listing.returncode == 0:
        found = (Path(os.fsdecode(name)) for name in listing.stdout.split(b"\0") if name)
    else:
        found = (path for path in Path().rglob("*") if SKIPPED.isdisjoint(path.parts))
    yield from sorted({path for path in found if path.is_file()})


if __name__ == "__main__":
    sys.exit(main())
