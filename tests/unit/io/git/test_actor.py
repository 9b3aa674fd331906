"""Who runs it, where nobody can say."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from reconciler.io.git.actor import find_by
from reconciler.model import By


def test_a_user_without_a_name_and_a_machine_without_git_are_recorded_as_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs under a number: no reason not to apply."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert find_by({"PATH": str(tmp_path)}, tmp_path) == By(None, None, None)
