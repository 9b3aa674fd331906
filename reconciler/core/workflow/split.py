"""The split of a fleet's tokens and secrets into several GitHub secrets (docs/github.md).

The parts are the shards of `--shard`, so each job finds the tokens of its environments in the secret of its number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from reconciler.core.shard import find_shard

MAX_SECRET_BYTES = 48 * 1024  # GitHub's limit for one secret
MAX_SECRETS = 100  # GitHub's limit for one GitHub Environment


class FileSizes(Struct, frozen=True):
    """The sizes in bytes of a file that is split: of each environment's entry, and of the text in every part."""

    entries: Mapping[str, int]
    every_part: int = 0


def split_names(names: Iterable[str], parts: int) -> list[list[str]]:
    """Return the names of each part, as `--shard` of I/parts selects them."""
    found: list[list[str]] = [[] for _ in range(parts)]
    for name in names:
        found[find_shard(name, parts).number - 1].append(name)
    return found


def find_largest_part(file: FileSizes, parts: int) -> int:
    """Return the bytes of the largest part, if the file is split into `parts`."""
    sizes = [file.every_part] * parts
    for name, size_bytes in file.entries.items():
        sizes[find_shard(name, parts).number - 1] += size_bytes
    return max(sizes)


def fits(files: Collection[FileSizes], parts: int) -> bool:
    return all(find_largest_part(file, parts) <= MAX_SECRET_BYTES for file in files)


def find_fitting(files: Sequence[FileSizes], more_than: int) -> int | None:
    """Return the smallest number of parts above `more_than` that fits; None if no number does.

    All parts of all files are in one GitHub Environment.
    """
    return next((parts for parts in range(more_than + 1, MAX_SECRETS // len(files) + 1) if fits(files, parts)), None)
