"""An empty tree of manifests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def in_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change into a folder with an empty folder `manifests`."""
    monkeypatch.chdir(tmp_path)
    Path("manifests").mkdir()
