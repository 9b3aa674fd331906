from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import click

from reconciler.cli.completion import complete_folders
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.output import say, write
from reconciler.errors import InputError
from reconciler.io.files import is_file, is_folder
from reconciler.text.escape import for_terminal

_ACTION = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)*@[\w./-]+")


@click.command()
@click.argument("folder", metavar="[DIR]", shell_complete=complete_folders, default=".")
@click.option(
    "--action",
    metavar="OWNER/REPO/PATH@COMMIT",
    help="The action that the workflows use. Default: that of the repository this tool was installed from.",
)
def init(folder: str, action: str | None) -> int:
    """Write a starting tree: manifests, settings, workflows.

    For a new repository. Files that exist are not changed, and are listed.

    \b
    Example:
      reconciler init plug-webhooks && cd plug-webhooks && reconciler validate
    """
    from reconciler.starter import UNKNOWN_ACTION, find_action, starting_files

    if action is not None and not _ACTION.fullmatch(action):
        raise click.BadParameter("write OWNER/REPO/.github/actions/reconciler@COMMIT", param_hint="--action")
    top = Path(folder)
    chosen = action or find_action(os.environ) or UNKNOWN_ACTION
    has_manifests = is_folder(top / "manifests") and any((top / "manifests").rglob("*.y*ml"))
    lines = []
    unfilled = False
    for path, text in starting_files(chosen).items():
        reason = _reason_to_leave(top, path, has_manifests=has_manifests)
        if reason is None and not _write_new(top, path, text):
            reason = "it exists"
        unfilled = unfilled or (reason is None and UNKNOWN_ACTION in text)
        lines.append(f"left   {path}: {reason}" if reason else f"wrote  {path}")
    write("\n".join(for_terminal(line) for line in lines))
    say("next: write your hosts into the manifests, then `reconciler validate`. For GitHub: `reconciler github setup`")
    if unfilled:
        say(
            f"put the action into the workflows: where they say {UNKNOWN_ACTION}, name the repository that holds "
            "this tool, and its commit (or remove them, and run init with --action)",
            label="warning",
        )
    return ExitCode.DONE


def _reason_to_leave(top: Path, path: str, *, has_manifests: bool) -> str | None:
    """Return why a file is not written: examples beside the user's manifests, settings twice, a link out of `top`."""
    # not resolve(), which raises for links in a circle
    if not Path(os.path.realpath((top / path).parent)).is_relative_to(os.path.realpath(top)):
        return "a link leads out of the folder"
    if path.startswith("manifests/") and has_manifests:
        return "there are manifests already"
    if path == ".github/dependabot.yml" and is_file(top / ".github/dependabot.yaml"):
        return ".github/dependabot.yaml is there: GitHub reads only one of them"
    if path == "reconciler.toml" and _has_settings(top / "pyproject.toml"):
        return 'pyproject.toml holds the settings: set state = "git:origin/reconciler-state" there'
    return None


def _has_settings(pyproject: Path) -> bool:
    try:
        return "reconciler" in tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError, AttributeError):
        return False


def _write_new(top: Path, path: str, text: str) -> bool:
    """Write a new file; return False where the path exists already. Raises InputError where it can't be written."""
    target = top / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        if is_folder(target.parent):
            return False
        raise _unwritable(target, "a file is where a folder is needed") from None
    except OSError as error:
        raise _unwritable(target, error.strerror or "failed") from error
    return True


def _unwritable(target: Path, reason: str) -> InputError:
    hint = "choose a folder that can be written"
    return InputError.of("DIR", f"{target.as_posix()} can't be written: {reason}", hint)
