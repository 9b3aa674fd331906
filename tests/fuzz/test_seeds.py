"""Every input that a fuzzer found or starts from, without the fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, dumped, seeds_of

SEEDS = [pytest.param(target, path, id=f"{target}/{path.name}") for target in TARGETS for path in seeds_of(target)]


@pytest.mark.parametrize(("target", "path"), SEEDS)
def test_a_kept_seed_breaks_no_promise(target: str, path: Path) -> None:
    """The oracle is the fuzzer's."""
    data = path.read_bytes()
    try:
        TARGETS[target](data)
    except AssertionError as error:
        raise AssertionError(f"{error}: {dumped(data)}") from error
