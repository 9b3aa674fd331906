"""What a release needs: a matching tag, version and changelog, and a moving tag that never goes back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import release
from release import Refused, Version

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = """# Changelog

## Unreleased

## 1.4.0 - 2026-11-26

### Added

- Something.

## 1.3.0 - 2026-10-01

- Something older.
"""


def make_project(folder: Path, *, version: str = "1.4.0", changelog: str = CHANGELOG) -> Path:
    (folder / "reconciler").mkdir()
    (folder / "reconciler" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    return folder


def test_a_release_has_the_changelogs_section_as_its_notes(tmp_path: Path) -> None:
    """The notes have neither the heading nor the older versions."""
    assert release.check("v1.4.0", None, make_project(tmp_path)) == "### Added\n\n- Something.\n"


@pytest.mark.parametrize("tag", ["1.4.0", "v1.4", "v1", "v1.4.0.1", "v01.4.0", "v1.4.0rc1", "v1.4.0\n", "v١.4.0", ""])
def test_another_tag_is_refused(tag: str) -> None:
    """A moving tag such as v1 is refused too."""
    with pytest.raises(Refused, match="not a release's tag"):
        release.parse_tag(tag)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("## Unreleased\n", "", "doesn't begin with the section 'Unreleased'"),
        ("## Unreleased\n", "## Unreleased\n\n- New.\n", "has entries below 'Unreleased'"),
        ("## 1.4.0 - 2026-11-26", "## 1.4.1 - 2026-11-26", "newest version of the changelog is 1.4.1, not 1.4.0"),
        ("## 1.4.0 - 2026-11-26\n\n### Added\n\n- Something.\n", "", "newest version of the changelog is 1.3.0"),
        ("## 1.4.0 - 2026-11-26", "## 1.4.0", "heading of 1.4.0 has no date"),
        ("## 1.4.0 - 2026-11-26", "## 1.4.0 - 2026-11-31", "heading of 1.4.0 has no date"),
        ("## 1.4.0 - 2026-11-26", "## 1.4.0 - 20261126", "heading of 1.4.0 has no date"),
        ("### Added\n\n- Something.\n", "", "says nothing of 1.4.0"),
    ],
)
def test_a_changelog_that_is_not_ready_is_refused(before: str, after: str, reason: str) -> None:
    """The message says what is missing."""
    assert before in CHANGELOG
    with pytest.raises(Refused, match=reason):
        release.find_notes(CHANGELOG.replace(before, after, 1), "1.4.0")


def test_all_reasons_come_at_once(tmp_path: Path) -> None:
    """A tag can't be replaced without notice, so one attempt must show all that is wrong."""
    make_project(tmp_path, version="1.3.9", changelog=CHANGELOG.replace("1.4.0", "1.3.9"))
    for arguments in (["init", "-q"], ["checkout", "-q", "-b", "main"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    for name in ("main", "side"):
        author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", "checkout", "-q", "-B", name], cwd=tmp_path, check=True)
        subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", name], cwd=tmp_path, check=True)
    with pytest.raises(Refused) as refusal:
        release.check("v1.4.0", "main", tmp_path)
    assert str(refusal.value).splitlines() == [
        "the project's version is 1.3.9, not 1.4.0",
        "the newest version of the changelog is 1.3.9, not 1.4.0",
        "the commit is not on main",
    ]


@pytest.mark.parametrize(
    ("tags", "newest"),
    [
        ([], True),
        (["v1.4.0"], True),
        (["v1.3.12", "v0.9.0", "v2.0.0", "v1", "v1.5.0rc1", "other"], True),
        (["v1.10.0"], False),
        (["v1.4.1"], False),
    ],
)
def test_the_moving_tag_follows_the_newest_of_its_major_version(tags: list[str], newest: bool) -> None:
    """A later fix of an older release leaves it alone. Numbers are compared, not texts."""
    assert release.is_newest(Version(1, 4, 0), tags) is newest


def test_this_changelog_could_be_released() -> None:
    """It begins with what is unreleased; each version below has a date, the newest first."""
    headings = [heading for heading, _ in release.read_sections((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))]
    assert headings[0] == release.UNRELEASED
    versions = [release.parse_tag(f"v{heading.partition(' - ')[0]}") for heading in headings[1:]]
    assert versions == sorted(versions, reverse=True)
    assert versions[0] <= release.parse_tag(f"v{release.read_version()}")
    for heading in headings[1:]:
        version = heading.partition(" - ")[0]
        assert release.find_notes(f"## {release.UNRELEASED}\n\n## {heading}\n\n- x\n", version)
