"""The split of a fleet's tokens into several secrets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.shard import holds
from reconciler.core.workflow.split import (
    MAX_SECRET_BYTES,
    MAX_SECRETS,
    FileSizes,
    find_fitting,
    find_largest_part,
    fits,
    split_names,
)
from reconciler.model import Shard

FLEET = {f"loja-{number}": 700 for number in range(300)}


@given(st.sets(st.text(st.characters(codec="utf-8"), max_size=8), max_size=20), st.integers(1, 7))
def test_a_part_has_the_environments_of_its_shard(names: set[str], parts: int) -> None:
    """A job finds the tokens of its environments in the secret of its number."""
    for number, found in enumerate(split_names(names, parts), 1):
        assert set(found) == {name for name in names if holds(Shard(number, parts), name)}


def test_the_smallest_number_that_fits_is_found() -> None:
    """300 tokens of 700 bytes are 210 KB: five parts would do if they were equal."""
    files = [FileSizes(FLEET)]
    found = find_fitting(files, 1)
    assert found is not None and 5 <= found <= 8
    assert fits(files, found) and not fits(files, found - 1)
    assert find_largest_part(files[0], found) <= MAX_SECRET_BYTES


def test_the_text_in_every_part_counts_in_each() -> None:
    """Secrets for all environments are in every part."""
    assert find_fitting([FileSizes({}, every_part=MAX_SECRET_BYTES)], 0) == 1
    assert find_fitting([FileSizes({}, every_part=MAX_SECRET_BYTES + 1)], 0) is None


def test_an_entry_that_is_too_large_fits_nowhere() -> None:
    assert find_fitting([FileSizes({"loja": MAX_SECRET_BYTES + 1})], 1) is None


def test_two_files_share_the_secrets_of_one_environment() -> None:
    """A GitHub Environment has a hundred secrets: fifty parts of each file."""
    large = FileSizes({f"loja-{number}": MAX_SECRET_BYTES // 12 for number in range(420)})
    alone = find_fitting([large], 1)
    assert alone is not None and alone > MAX_SECRETS // 2
    assert find_fitting([large, FileSizes({})], 1) is None
