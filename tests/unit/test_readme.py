"""The Portuguese README shows the same commands and files as the English one, and both name what exists."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.cli.main import COMMANDS
from reconciler.settings.flags import SETTING_FLAGS

TOP = Path(__file__).parents[2]
ENGLISH = (TOP / "README.md").read_text(encoding="utf-8")
PORTUGUESE = (TOP / "README.pt-BR.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\w+\n.*?^```$", text, re.MULTILINE | re.DOTALL)


def test_both_readmes_have_the_same_code_blocks() -> None:
    """Word for word, in the same order."""
    assert blocks(PORTUGUESE) == blocks(ENGLISH) != []


def test_both_readmes_name_every_command_and_setting() -> None:
    """In their tables."""
    for text in (ENGLISH, PORTUGUESE):
        for name in COMMANDS:
            assert f"`{name}" in text
        for flag in SETTING_FLAGS:
            assert f"`{flag.path.removeprefix('policy.')}`" in text


def test_links_within_the_readmes_lead_somewhere() -> None:
    """Each anchor is a heading of the same page."""
    for text in (ENGLISH, PORTUGUESE):
        headings = {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
