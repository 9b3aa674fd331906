"""The workflows in a team's repository: how they are written, and which of them `init --upgrade` may replace.

Expected changes don't count as edits: the lines of the team's secrets, pins that Dependabot moved, the action, and the
name of the default branch. Each file begins with a line that holds the digest of the rest, so an edited file is
recognized without its original.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

EXAMPLE_SECRET = "PLUG_SECRET_RECEIVE"  # noqa: S105 - the variable of the example manifests and workflow sources
MAX_SECRET_LINES = 100  # as many secrets as a GitHub Environment has
DIGEST_DIGITS = 16

# The digests of the workflows from versions that did not write them into the first line.
EARLIER = frozenset(
    {
        *("57712f45290eff1f", "dbc57d2e947c1284", "7ae80dedfd4c003b", "53fa8f6e0b9919d8", "c504a7026b24fc27"),
        *("f4933f5298ca9438", "18fa454e857011dd"),  # apply.yml
        *("53b91aa1ea4a05fa", "ba963bdce7d8dd7b"),  # drift.yml
        *("5e2be88c50e91d9e", "0258f708176c1f55", "0e311f1ea3adb5bf"),  # plan.yml
    }
)

_FIRST_LINE = re.compile(rf"# Written by reconciler init \S+ \((?P<digest>[0-9a-f]{{{DIGEST_DIGITS}}})\)[^\n]*\n")
_OWN_ACTION = re.compile(r"uses: (?:\./)?(?:@ACTION@|[\w./-]*\.github/actions/reconciler(?:@\S+)?)[^\n]*")
_ACTION_IN = re.compile(r"uses: (?P<action>[\w.-]+/[\w.-]+/\.github/actions/reconciler@\S+)")
_PIN = re.compile(r"uses: (?P<name>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40})(?: # v(?P<version>[0-9.]+))?[^\n]*")
_BRANCHES = re.compile(r"branches: \[[^\]\n]*\][^\n]*")
_BRANCHES_IN = re.compile(r"branches: \[(?P<names>[\w./\", -]+)\]")
_FIRST_BRANCHES = frozenset({"main", "master"})  # the first version named both, and a team added its branch
_SECRETS = re.compile(r"(?: +(PLUG_SECRET_\w+): \$\{\{ secrets\.\1 \}\}\n)+")
_SECRET_IN = re.compile(r"(PLUG_SECRET_\w+): \$\{\{ secrets\.\1 \}\}\n")


class FileState(StrEnum):
    """A workflow of a repository, compared with the one that this version writes."""

    MISSING = "missing"
    CURRENT = "current"
    OLDER = "older"  # as an earlier version wrote it
    EDITED = "edited"


class Places(Struct, frozen=True):
    """The parts of the workflows that differ between repositories. `action` is OWNER/REPO/PATH@REF."""

    action: str
    default_branch: str = "main"
    secrets: Sequence[str] = (EXAMPLE_SECRET,)


def fill_in(source: str, places: Places) -> str:
    """Return the source of a workflow with the action, the branch, and a line for each secret."""
    branch = places.default_branch if places.default_branch == "main" else json.dumps(places.default_branch)
    text = source.replace("./@ACTION@", places.action).replace("branches: [main]", f"branches: [{branch}]")

    def write_lines(found: re.Match[str]) -> str:
        indent = found[0][: found[0].index("P")]
        return "".join(f"{indent}{name}: ${{{{ secrets.{name} }}}}\n" for name in places.secrets)

    return _SECRETS.sub(write_lines, text) if places.secrets else text


def sign(text: str, version: str) -> str:
    """Return the workflow with a first line that holds its version and digest, so that edits are recognized."""
    digest = make_digest(text)
    return f"# Written by reconciler init {version} ({digest}). `reconciler init --upgrade` keeps it current.\n{text}"


def make_digest(text: str) -> str:
    """Return the digest of a workflow without its first line and the changes that don't count as edits."""
    text = _FIRST_LINE.sub("", text.replace("\r\n", "\n"), count=1)
    text = _OWN_ACTION.sub("uses: @ACTION@", text)
    text = _PIN.sub(r"uses: \g<name>", text)
    text = _BRANCHES.sub("branches: [main]", text)
    text = _SECRETS.sub("SECRETS\n", text)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGEST_DIGITS]


def compare(there: str | None, wanted: str) -> FileState:
    """Compare a workflow with the one that this version writes, which is signed."""
    if there is None:
        return FileState.MISSING
    if there.replace("\r\n", "\n") == wanted:
        return FileState.CURRENT
    first = _FIRST_LINE.match(there.replace("\r\n", "\n"))
    digest = make_digest(there)
    unedited = digest == first["digest"] if first else digest in EARLIER
    return FileState.OLDER if unedited else FileState.EDITED


# --- the parts that differ -------------------------------------------------------------------------------------


def find_action_in(texts: Iterable[str]) -> str | None:
    """Return the first action of this tool that the workflows use."""
    return next((found["action"] for text in texts for found in _ACTION_IN.finditer(text)), None)


def find_branch_in(texts: Iterable[str]) -> str | None:
    """Return the default branch that the workflows name; None if it is ambiguous."""
    lists = [match["names"] for text in texts for match in _BRANCHES_IN.finditer(text)]
    found = {name.strip().strip('"') for names in lists for name in names.split(",")}
    if len(found) > 1:
        found -= _FIRST_BRANCHES
    return found.pop() if len(found) == 1 else None


def find_secrets_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the secrets that the workflows hand over, each once, sorted."""
    return tuple(sorted({name for text in texts for name in _SECRET_IN.findall(text)}))


def merge_secrets(there: Sequence[str], named: Sequence[str]) -> Sequence[str]:
    """Return the secrets that the workflows hand over, and those that the manifests name, unless these are too many.

    A line that no manifest needs any more stays.
    """
    merged = sorted({*there, *named}) or [EXAMPLE_SECRET]
    return merged if len(merged) <= MAX_SECRET_LINES else there or named


def keep_newer_pins(text: str, there: str) -> str:
    """Return the workflow with the newer one of each pin. Pins in the existing workflow `there` may be newer."""
    newer = {found["name"]: found for found in _PIN.finditer(there) if found["version"]}

    def choose(found: re.Match[str]) -> str:
        other = newer.get(found["name"])
        if other is None or not found["version"] or _order(other["version"]) <= _order(found["version"]):
            return found[0]
        return f"uses: {other['name']}@{other['commit']} # v{other['version']}"

    return _PIN.sub(choose, text)


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)
