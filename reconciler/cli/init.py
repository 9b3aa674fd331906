from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.completion import complete_folders
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.output import say, warn, write
from reconciler.cli.session import find_folder
from reconciler.cli.tree_files import (
    find_branch,
    find_secret_names,
    has_manifests,
    is_branch,
    is_user_or_team,
    leads_out,
    unwritable,
)
from reconciler.io.files import is_file, is_folder, write_new
from reconciler.text.counts import name_some
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from reconciler.starter import Start

_ACTION = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)*@[\w./-]+")
_OF_A_COMMIT = re.compile(r".*@[0-9a-f]{40}")
# files with the same meaning as the one that would be written
_OTHER_PLACES = {
    ".github/dependabot.yml": (".github/dependabot.yaml",),
    ".github/CODEOWNERS": ("CODEOWNERS", "docs/CODEOWNERS"),
}


@click.command()
@click.argument("folder", metavar="[DIR]", shell_complete=complete_folders, default=".")
@click.option(
    "--action",
    metavar="OWNER/REPO/PATH@COMMIT",
    help="The action that the workflows use. Default: that of the repository this tool was installed from.",
)
@click.option("--default-branch", metavar="NAME", help="Default: the repository's, else main.")
@click.option("--owner", "owners", metavar="@ORG/TEAM", multiple=True, help="Who must review changes; repeatable.")
@click.option(
    "--language",
    type=click.Choice(["en", "pt-BR"]),
    default="en",
    show_default=True,
    help="Of the repository's README.",
)
@click.option(
    "--tokens-from",
    type=click.Choice(["environments", "secret"]),
    default="environments",
    show_default=True,
    help="As for github setup. With secret, PLUG_SECRETS has all secrets: the workflows get no line for each.",
)
@click.option("--upgrade", is_flag=True, help="Show what this version would change in the workflows that are there.")
@click.option("--yes", "-y", is_flag=True, help="With --upgrade: make the changes.")
def init(
    folder: str,
    action: str | None,
    default_branch: str | None,
    owners: tuple[str, ...],
    language: str,
    tokens_from: str,
    upgrade: bool,
    yes: bool,
) -> int:
    """Write a starting tree: manifests, settings, workflows.

    For a new repository. Files that exist are not changed, and are listed. With --upgrade and --yes the workflows are
    replaced by this version's, except those that you edited, which are listed.

    \b
    Example:
      reconciler init plug-webhooks && cd plug-webhooks && reconciler validate
      reconciler init --upgrade
    """
    if yes and not upgrade:
        raise click.UsageError("--yes goes with --upgrade: init itself changes no file that exists")
    _check(action, default_branch, owners)
    find_folder()
    top = Path(folder)
    names = find_secret_names(top) if tokens_from == "environments" else ()
    if upgrade:
        from reconciler.cli.init_upgrade import upgrade_workflows

        return upgrade_workflows(top, action, default_branch, names, yes=yes)
    from reconciler.manifests.schema import editor_schema
    from reconciler.starter import UNKNOWN_ACTION, Language, Start, find_action
    from reconciler.starter.workflow_files import EXAMPLE_SECRET, Places

    chosen = action or find_action(os.environ) or UNKNOWN_ACTION
    branch = default_branch or find_branch(top) or "main"
    start = Start(
        Places(chosen, branch, names or (EXAMPLE_SECRET,)),
        [f"@{owner.removeprefix('@')}" for owner in owners],
        Language(language),
        json.dumps(editor_schema(), indent=2) + "\n",
    )
    _write_all(top, start)
    _warn_of_placeholders(top, chosen)
    say("next: write your hosts into the manifests, then `reconciler validate`. For GitHub: `reconciler github setup`")
    return ExitCode.DONE


def _write_all(top: Path, start: Start) -> None:
    """Write the missing files, and show a line for each file. Raises InputError if one can't be written."""
    from reconciler.starter import ACTION_FOLDER, UNKNOWN_ACTION, starting_files

    there = has_manifests(top)
    lines, unfilled = [], False
    try:
        for path, text in starting_files(start).items():
            reason = _reason_to_leave(top, path, there=there)
            if reason is None and not _write_new(top, path, text):
                reason = "it exists"
            unfilled = unfilled or (reason is None and UNKNOWN_ACTION in text)
            lines.append(f"left   {path}: {reason}" if reason else f"wrote  {path}")
    finally:
        write("\n".join(for_terminal(line) for line in lines))
    if unfilled:
        warn(
            f"the action of the workflows is not known: they name {UNKNOWN_ACTION}, and README.md names "
            f"OWNER/reconciler@COMMIT. Run `reconciler init{_folder_argument(top)} --upgrade --yes --action "
            f"OWNER/REPO/{ACTION_FOLDER}@COMMIT` with the repository that holds this tool, and its commit"
        )


def _warn_of_placeholders(top: Path, action: str) -> None:
    """Say how to fill in the action in workflows that an earlier call wrote without one. `init` changes no file."""
    from reconciler.cli.init_upgrade import find_unfilled
    from reconciler.starter import UNKNOWN_ACTION

    unfilled = [] if action == UNKNOWN_ACTION else find_unfilled(top)
    if unfilled:
        warn(
            f"{name_some(unfilled)} still name {UNKNOWN_ACTION}, which only holds the place of the action. Run "
            f"`reconciler init{_folder_argument(top)} --upgrade --yes --action {action}`"
        )


def _folder_argument(top: Path) -> str:
    return "" if top == Path() else f" {shlex.quote(top.as_posix())}"


def _check(action: str | None, default_branch: str | None, owners: Sequence[str]) -> None:
    """Raise a usage error for values that can't be written into the files; warn of an action that can be moved."""
    if action is not None and not _ACTION.fullmatch(action):
        raise click.BadParameter("write OWNER/REPO/.github/actions/reconciler@COMMIT", param_hint="--action")
    if action is not None and not _OF_A_COMMIT.fullmatch(action):
        warn(
            f"{action.rpartition('@')[2]} is not a commit: a tag or a branch can be moved, and then other code gets "
            "your tokens without any change here. Name the commit with its 40 digits"
        )
    if default_branch is not None and not is_branch(default_branch):
        message = f"{default_branch!r} is not a name that the workflows can have: letters, digits and . _ / -"
        raise click.BadParameter(message, param_hint="--default-branch")
    for owner in owners:
        if not is_user_or_team(owner):
            raise click.BadParameter(f"{owner!r}: write @USER or @ORG/TEAM", param_hint="--owner")


def _reason_to_leave(top: Path, path: str, *, there: bool) -> str | None:
    """Return why a file is not written; None if it is. `there` is whether manifests exist already."""
    if leads_out(top, path):
        return "a link leads out of the folder"
    if path.startswith("manifests/") and there:
        return "there are manifests already"
    other = next((other for other in _OTHER_PLACES.get(path, ()) if is_file(top / other)), None)
    if other is not None:
        return f"{other} is there: GitHub reads only one of them"
    if path == "reconciler.toml" and _has_settings(top / "pyproject.toml"):
        return 'pyproject.toml holds the settings: set state = "git:origin/reconciler-state" there'
    return None


def _has_settings(pyproject: Path) -> bool:
    try:
        return "reconciler" in tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError, AttributeError):
        return False


def _write_new(top: Path, path: str, text: str) -> bool:
    """Write a new file; return False if the path exists already. Raises InputError if it can't be written."""
    target = top / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_new(target, text.encode())
    except FileExistsError:
        if is_folder(target.parent):
            return False
        raise unwritable(target, "a file is where a folder is needed") from None
    except OSError as error:
        raise unwritable(target, error.strerror or "failed") from error
    return True
