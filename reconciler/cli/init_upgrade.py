"""`init --upgrade`: the workflows of the checkout, and those of this version."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from msgspec import Struct

from reconciler.cli.checkout_files import MAX_WORKFLOW_BYTES
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.output import say, warn, write
from reconciler.cli.tree_files import find_branch, leads_out, unwritable
from reconciler.core.workflow.names import REQUIRED_CHECK
from reconciler.errors import InputError
from reconciler.io.files import read_regular, write_whole
from reconciler.starter import (
    UNKNOWN_ACTION,
    WORKFLOWS,
    WORKFLOWS_FOLDER,
    find_action,
    make_tool_address,
    signed_workflows,
)
from reconciler.starter.workflow_files import (
    FileState,
    Places,
    compare,
    find_action_in,
    find_branch_in,
    find_secrets_in,
    keep_newer_pins,
    merge_secrets,
)
from reconciler.text.counts import counted
from reconciler.text.escape import for_terminal

README = "README.md"


class ComparedWorkflow(Struct, frozen=True):
    """One workflow: the text in the checkout (None: no file), and the one that this version writes."""

    path: str
    there: str | None
    wanted: str
    state: FileState


def compare_workflows(
    top: Path, action: str | None, default_branch: str | None, secrets: Sequence[str]
) -> list[ComparedWorkflow]:
    """Compare the workflows below `top` with this version's, which also have a line for each of `secrets`.

    With None, the action or the branch of the existing workflows is taken. Raises InputError if a workflow can't be
    read.
    """
    there = {name: _read(top, name) for name in WORKFLOWS}
    texts = [text for text in there.values() if text is not None]
    chosen = action or find_action_in(texts) or UNKNOWN_ACTION
    branch = default_branch or find_branch_in(texts) or find_branch(top) or "main"
    places = Places(chosen, branch, merge_secrets(find_secrets_in(texts), secrets))
    found = []
    for name, wanted in signed_workflows(places).items():
        text = there[name]
        wanted = wanted if text is None else keep_newer_pins(wanted, text)
        found.append(ComparedWorkflow(f"{WORKFLOWS_FOLDER}/{name}.yml", text, wanted, compare(text, wanted)))
    return found


def upgrade_workflows(
    top: Path, action: str | None, default_branch: str | None, secrets: Sequence[str], *, yes: bool
) -> int:
    """Show how the workflows differ from this version's; with `yes`, replace those that were not edited."""
    action = action or find_action(os.environ)
    if action is None:
        message = "this tool was not installed from a known commit, so the action that goes with it is not known"
        hint = "name it: OWNER/REPO/.github/actions/reconciler@COMMIT"
        if yes:
            raise InputError.of("--action", message, hint)
        warn(f"{message}. This comparison keeps the action of the workflows; --yes needs --action")
    found = compare_workflows(top, action, default_branch, secrets)
    lines: list[str] = []
    for one in found:
        lines += _difference(one)
    for one in found:
        lines.append(_write(top, one) if yes else _announce(one))
    readme = _find_readme(top, action, found)
    if readme is not None:
        lines.append(_write_readme(top, readme) if yes else f"would change   {README}: the address of the tool")
    write("\n".join(for_terminal(line) for line in lines))
    _say_next(found, yes=yes, is_readme_old=readme is not None)
    return ExitCode.DONE


def find_unfilled(top: Path) -> list[str]:
    """Return the paths of the readable workflows that hold the placeholder of an unknown action."""
    found = []
    for name in WORKFLOWS:
        with contextlib.suppress(InputError):
            if UNKNOWN_ACTION in (_read(top, name) or ""):
                found.append(f"{WORKFLOWS_FOLDER}/{name}.yml")
    return found


def _find_readme(top: Path, action: str | None, found: Sequence[ComparedWorkflow]) -> str | None:
    """Return the README with the address of the tool at the commit of the action; None if nothing differs.

    Only the address that `init` wrote is replaced: the placeholder, or the commit that the workflows had.
    """
    if action is None or (top / README).is_symlink():
        return None
    try:
        text = read_regular(top / README, MAX_WORKFLOW_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return None  # the team's own file, or none
    old = find_action_in(one.there for one in found if one.there is not None)
    changed = text
    for one in (UNKNOWN_ACTION, old or UNKNOWN_ACTION):
        changed = changed.replace(f'"{make_tool_address(one)}"', f'"{make_tool_address(action)}"')
    return None if changed == text else changed


def _write_readme(top: Path, text: str) -> str:
    try:
        write_whole(top / README, text)
    except OSError as error:
        raise unwritable(top / README, error.strerror or "failed") from error
    return f"wrote  {README}: the address of the tool"


def _read(top: Path, name: str) -> str | None:
    path = f"{WORKFLOWS_FOLDER}/{name}.yml"
    if leads_out(top, path):
        raise InputError.of("DIR", f"{path}: a link leads out of the folder", "remove the link")
    try:
        return read_regular(top / path, MAX_WORKFLOW_BYTES).decode(errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError.of("DIR", f"{path} can't be read: {error.strerror}", "make it a readable file") from error


def _difference(found: ComparedWorkflow) -> list[str]:
    """Return the lines of a diff; empty for a new file, which is this version's as a whole."""
    if found.there is None or found.state is FileState.CURRENT:
        return []
    before, after = found.there.splitlines(), found.wanted.splitlines()
    return [*difflib.unified_diff(before, after, found.path, f"{found.path} (this version)", lineterm=""), ""]


def _announce(found: ComparedWorkflow) -> str:
    match found.state:
        case FileState.MISSING:
            return f"would write    {found.path}"
        case FileState.OLDER:
            return f"would replace  {found.path}"
        case _:
            return _leave(found)


def _write(top: Path, found: ComparedWorkflow) -> str:
    """Write one workflow, and return the line that reports it."""
    match found.state:
        case FileState.CURRENT | FileState.EDITED:
            return _leave(found)
        case FileState.MISSING | FileState.OLDER:
            target = top / found.path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(target, found.wanted)
            except OSError as error:
                raise unwritable(target, error.strerror or "failed") from error
            return f"wrote  {found.path}"
        case _:
            assert_never(found.state)


def _leave(found: ComparedWorkflow) -> str:
    if found.state is FileState.CURRENT:
        return f"left   {found.path}: it is this version's"
    return f"left   {found.path}: it was edited, so make the change above by hand"


def _say_next(found: Sequence[ComparedWorkflow], *, yes: bool, is_readme_old: bool) -> None:
    changing = is_readme_old or any(one.state in (FileState.MISSING, FileState.OLDER) for one in found)
    edited = [one for one in found if one.state is FileState.EDITED]
    if edited:
        warn(
            f"{counted(len(edited), 'workflow')} edited: make the change by hand, or remove the file, upgrade, and "
            "make your edit again"
        )
    if not changing and not edited:
        say("the workflows are this version's")
    elif changing and not yes:
        say("add --yes to make these changes, then open a pull request")
    plan = next((one for one in found if one.path.endswith("/plan.yml")), None)
    if plan is not None and plan.there is not None and f"name: {REQUIRED_CHECK}\n" not in plan.there:
        say(
            f"the required check is now `{REQUIRED_CHECK}`: require it in the rules of the default branch once the new "
            "plan.yml is merged, in place of `Plan` and of the status reconciler/plan, which no job reports any more"
        )
