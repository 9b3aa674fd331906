"""The needs of a merge outside of its files: lines of the workflows, GitHub Environments, and names in the state."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.model import Desired
from reconciler.text.counts import name_some

_APPLY_WAVE, _DRIFT = "apply-wave.yml", "drift.yml"
_HANDING = (_APPLY_WAVE, _DRIFT)  # the workflows with a line for each secret of the manifests
OPTIONS_SHOWN = 5  # with more new environments, the script is made for all
_COMMENT = re.compile(r"(?:^|[ \t])#[^\n]*", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_SECRETS_FILE = "RECONCILER_SECRETS_FILE"  # a step of the team's own fetches them


class Advice(Struct, frozen=True):
    """Something to do, and the command or the line for it."""

    text: str
    command: str

    def __str__(self) -> str:
        return f"{self.text}: `{self.command}`"


class MissingLine(Struct, frozen=True):
    """A secret of the manifests that these workflows don't hand over to the steps that need it."""

    name: str
    workflows: tuple[str, ...]
    environments: tuple[str, ...]

    @property
    def line(self) -> str:
        return f"{self.name}: ${{{{ secrets.{self.name} }}}}"

    @property
    def stops_apply(self) -> bool:
        return _APPLY_WAVE in self.workflows


def find_missing_lines(
    workflows: Mapping[str, str], desired: Iterable[Desired], layout: JobLayout
) -> list[MissingLine]:
    """Return the secrets without a line in the workflows, which are texts by file name; other files don't count.

    Drift needs only those of accounts that can be read. Nothing is missing if one secret has those of all environments.
    """
    if layout.tokens_from is TokensFrom.SECRET:
        return []
    words = {
        name: frozenset(_WORD.findall(_COMMENT.sub("", workflows[name]))) for name in _HANDING if name in workflows
    }
    users: dict[str, list[Desired]] = {}
    for one in desired:
        for secret in one.secrets:
            users.setdefault(secret, []).append(one)
    found = []
    for secret, using in sorted(users.items()):
        observed = any(one.account_id is not None for one in using)
        needing = words.keys() if observed else words.keys() - {_DRIFT}
        lacking = tuple(name for name in _HANDING if name in needing and not words[name] & {secret, _SECRETS_FILE})
        if lacking:
            found.append(MissingLine(secret, lacking, tuple(sorted(one.environment for one in using))))
    return found


def describe_missing_line(one: MissingLine) -> str:
    """Return what is missing, and what follows from it."""
    effect = (
        f"the apply of {name_some(one.environments)} would be refused"
        if one.stops_apply
        else "drift with PLUG_OBSERVE can't compare its URLs"
    )
    verb = "has" if len(one.workflows) == 1 else "have"
    return f"{' and '.join(one.workflows)} {verb} no line for {{secret:{one.name}}}, so {effect}"


def find_advice(
    before: Iterable[Desired] | None, after: Sequence[Desired], lines: Iterable[MissingLine], layout: JobLayout
) -> list[Advice]:
    """Return what to do before a merge. `before` is None if the base can't be compared."""
    advice = [
        Advice(
            f"{describe_missing_line(one)}. Add the line under `env:` there (`reconciler init --upgrade --yes` does), "
            "and the secret to the GitHub Environment",
            one.line,
        )
        for one in lines
    ]
    if before is None:
        return advice
    names, known = {one.environment for one in after}, {one.environment for one in before}
    new, removed = sorted(names - known), sorted(known - names)
    if new and layout.tokens_from is TokensFrom.ENVIRONMENTS:
        options = "".join(f" -e {name}" for name in new) if len(new) <= OPTIONS_SHOWN else ""
        text = f"New: {name_some(new)}. Create the GitHub Environment and its secrets, if that is not done"
        advice.append(Advice(text, f"reconciler github setup{options}"))
    return [*advice, *_find_renames(new, removed)]


def _find_renames(new: Collection[str], removed: Collection[str]) -> list[Advice]:
    """Return how a renamed environment keeps its state. Manifests show a rename as a removal and a new environment."""
    if not new or not removed:
        return []
    one_each = len(new) == len(removed) == 1
    old_name, new_name = (*removed, *new) if one_each else ("OLD", "NEW")
    what = f"{old_name} is {new_name} now" if one_each else "a removed environment only has a new name"
    return [Advice(f"If {what}, keep its state, on this branch", f"reconciler state rename {old_name} {new_name}")]
