"""Make a release from its tag. `.github/workflows/release.yml` runs these commands, and so does a test.

release.py check TAG [--branch BRANCH]   stop unless the tag, the project's version and the changelog agree
release.py build FOLDER                  build the source distribution, and the wheel from that
release.py publish TAG FOLDER            make the GitHub release, and move the major version's tag

`publish` needs GitHub's `gh` with a token that may write contents. The upload to the package index is not here: an
action of the index's authors does it.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTION = "plug_reconciler"
UNRELEASED = "Unreleased"
_NUMBER = r"(0|[1-9]\d*)"
_TAG = re.compile(rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


class Refused(Exception):
    """Raised for a release that must not be made. The text has one reason on each line."""


@dataclass(frozen=True, order=True)
class Version:
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def moving_tag(self) -> str:
        """The tag that follows the newest release of this major version: `uses: …@v1`."""
        return f"v{self.major}"


def parse_tag(tag: str) -> Version:
    """Return the version that `tag` names.

    Raises: Refused, unless it is a `v` and three numbers.
    """
    found = _TAG.fullmatch(tag)
    if found is None:
        raise Refused(f"{tag!r} is not a release's tag: write vX.Y.Z, such as v1.4.0")
    return Version(*map(int, found.groups()))


def read_version(root: Path = ROOT) -> str:
    """Return the project's version from the file that the build reads.

    Raises: Refused.
    """
    source = root / "reconciler" / "__init__.py"
    found = re.search(r'^__version__ = "([^"]+)"$', source.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise Refused(f"{source.name} has no __version__")
    return found[1]


def read_sections(changelog: str) -> list[tuple[str, str]]:
    """Return the changelog's sections in their order: each heading of the second level, and the text below it."""
    _, *parts = _HEADING.split(changelog)
    return [(heading.strip(), text.strip()) for heading, text in zip(parts[::2], parts[1::2], strict=True)]


def find_notes(changelog: str, version: str) -> str:
    """Return what the changelog says of `version`.

    Raises: Refused, unless it begins with an empty section for what is unreleased, and `version` follows with a date.
    """
    sections = read_sections(changelog)
    if not sections or sections[0][0] != UNRELEASED:
        raise Refused(f"the changelog doesn't begin with the section {UNRELEASED!r}")
    if sections[0][1]:
        raise Refused(f"the changelog has entries below {UNRELEASED!r}: move them to the section of {version}")
    heading, text = sections[1] if len(sections) > 1 else ("", "")
    name, _, date = heading.partition(" - ")
    if name != version:
        raise Refused(f"the newest version of the changelog is {name or 'missing'}, not {version}")
    if not _is_date(date):
        raise Refused(f"the changelog's heading of {version} has no date: write '## {version} - YYYY-MM-DD'")
    if not text:
        raise Refused(f"the changelog says nothing of {version}")
    return f"{text}\n"


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def check(tag: str, branch: str | None, root: Path = ROOT) -> str:
    """Return the release's notes if everything agrees.

    `branch`: one that must hold the commit, such as `origin/main`; None skips that.

    Raises: Refused, with all reasons.
    """
    version = parse_tag(tag)
    reasons = []
    notes = ""
    if read_version(root) != str(version):
        reasons.append(f"the project's version is {read_version(root)}, not {version}")
    try:
        notes = find_notes((root / "CHANGELOG.md").read_text(encoding="utf-8"), str(version))
    except Refused as refusal:
        reasons.append(str(refusal))
    if branch is not None and _git(root, "merge-base", "--is-ancestor", "HEAD", branch, codes=(0, 1)) is None:
        reasons.append(f"the commit is not on {branch}")
    if reasons:
        raise Refused("\n".join(reasons))
    return notes


def build(folder: Path) -> list[Path]:
    """Build into the empty or new `folder`; return the source distribution and the wheel, which is built from it.

    Nothing is downloaded: the build backend is in the locks, and so is installed.

    Raises: Refused, where anything else than those two was built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused(f"{folder} is not empty")
    version = read_version()
    source = folder / f"{DISTRIBUTION}-{version}.tar.gz"
    wheel = folder / f"{DISTRIBUTION}-{version}-py3-none-any.whl"
    _run([sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)], ROOT)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)], folder)
    built = sorted(path.name for path in folder.iterdir())
    if built != sorted([source.name, wheel.name]):
        raise Refused(f"built {', '.join(built)}, not {source.name} and {wheel.name}")
    return [source, wheel]


def publish(tag: str, folder: Path) -> None:
    """Make the GitHub release of `tag` with the files in `folder`, or complete it; then move the major version's tag.

    Raises: Refused.
    """
    notes = check(tag, None)
    files = [str(path) for path in sorted(folder.resolve().iterdir())]
    if not files:
        raise Refused(f"{folder} is empty")
    # A re-run of the job finds the release that it began.
    if subprocess.run(["gh", "release", "view", tag], cwd=ROOT, capture_output=True, check=False).returncode == 0:
        _run(["gh", "release", "upload", tag, "--clobber", *files], ROOT)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "notes.md"
            path.write_text(notes, encoding="utf-8", newline="\n")
            title = ["--title", str(parse_tag(tag)), "--notes-file", str(path)]
            _run(["gh", "release", "create", tag, "--verify-tag", *title, *files], ROOT)
    _move_tag(tag)


def _move_tag(tag: str) -> None:
    """Let the major version's tag name the release, unless a newer one of that major version is out."""
    version = parse_tag(tag)
    tags = (_git(ROOT, "tag", "--list") or "").split()
    if not is_newest(version, tags):
        print(f"{version.moving_tag} stays: a newer release has it")
        return
    commit = (_git(ROOT, "rev-parse", f"refs/tags/{tag}^{{commit}}") or "").strip()
    refs = "repos/{owner}/{repo}/git/refs"  # gh fills it in
    if version.moving_tag in tags:
        moved = ["--method", "PATCH", f"{refs}/tags/{version.moving_tag}", "-F", "force=true"]
    else:
        moved = ["--method", "POST", refs, "-f", f"ref=refs/tags/{version.moving_tag}"]
    _run(["gh", "api", "--silent", *moved, "-f", f"sha={commit}"], ROOT)
    print(f"{version.moving_tag} is {commit}")


def is_newest(version: Version, tags: Iterable[str]) -> bool:
    """Return whether no tag has a later version with the same major number. Other tags don't count."""
    released = (Version(*map(int, found.groups())) for tag in tags if (found := _TAG.fullmatch(tag)))
    return all(other <= version for other in released if other.major == version.major)


def _git(root: Path, *arguments: str, codes: Sequence[int] = (0,)) -> str | None:
    """Return what git prints; None if it ends with a code of `codes` other than 0.

    Raises: Refused, for any other code.
    """
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise Refused(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else None


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode != 0:
        raise Refused(f"{' '.join(command)}: exit {done.returncode}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check")
    checking.add_argument("tag")
    checking.add_argument("--branch")
    building = commands.add_parser("build")
    building.add_argument("folder", type=Path)
    publishing = commands.add_parser("publish")
    publishing.add_argument("tag")
    publishing.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    try:
        if given.command == "check":
            print(check(given.tag, given.branch), end="")
        elif given.command == "build":
            print(*build(given.folder.resolve()), sep="\n")
        else:
            publish(given.tag, given.folder)
    except Refused as refusal:
        annotation = "::error::" if os.environ.get("GITHUB_ACTIONS") else "error: "
        print("\n".join(f"{annotation}{line}" for line in str(refusal).splitlines()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
