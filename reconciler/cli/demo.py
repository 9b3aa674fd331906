"""The whole story against the sandbox, through the same commands that a person types (CONTRACT §4)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import settings_options
from reconciler.cli.output import say, wants_colour, write
from reconciler.cli.session import Session, session_of
from reconciler.errors import InputError
from reconciler.io.files import write_whole
from reconciler.model import Desired, Event

if TYPE_CHECKING:
    from reconciler.sandbox.server import Sandbox

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TERM", "NO_COLOR", "USER", "LOGNAME", "COLUMNS")


@click.command()
@settings_options
@click.pass_context
def demo(context: click.Context, /, **parameters: Any) -> int:
    """Show the whole story against a stand-in Plug on this machine.

    Takes the manifests at hand to a temporary folder, with base URLs of the sandbox and made-up tokens and
    secrets. Your state, your tokens and Plug itself are left alone.

    \b
    Example:
      reconciler demo
    """
    given = session_of(context, parameters)
    source = given.folder / given.settings.manifests
    if not given.tree.names:
        raise InputError(problems=given.tree.errors)
    desired = given.desired
    # the copy's place, wherever the folder of manifests is: a person's own are never written to
    edited = (given.folder / desired[0].source.file).relative_to(source)
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
        shutil.copytree(source, Path(folder) / "manifests")
        with contextlib.chdir(folder):  # so that places read manifests/staging.yaml, as at home
            return _tell(desired, edited, Path.cwd())


def _tell(desired: Sequence[Desired], manifest: Path, folder: Path) -> int:
    """`manifest` is that of the first environment, below the folder of manifests."""
    from reconciler.sandbox.server import serve_in_thread

    with serve_in_thread() as sandbox:
        environ = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        environ |= _make_up(desired)
        story = _Story(folder, environ, sandbox, desired[0], manifest)
        try:
            for chapter in (
                story.create,
                story.nothing,
                story.edit,
                story.lost_answer,
                story.repair,
                story.dashboard,
                story.drift,
            ):
                chapter()
        except _WentWrong as wrong:
            say(f"the demo went wrong: {wrong}", label="error")
            return ExitCode.NOT_APPLIED
    story.end()
    return ExitCode.DONE


def _make_up(desired: Sequence[Desired]) -> dict[str, str]:
    """A token for each environment and a value for each secret: nothing real is read."""
    made = {one.token_env: f"made-up-token-of-{one.environment}" for one in desired}
    made["PLUG_PARTNER_TOKEN"] = "made-up-token-of-a-partner"  # noqa: S105
    return made | {name: f"made-up-{name.lower()}" for one in desired for name in one.secrets}


class _WentWrong(Exception):
    pass


@dataclass
class _Story:
    """Each chapter says what it does, does it with the real command, and checks what came of it."""

    folder: Path
    environ: Mapping[str, str]
    sandbox: Sandbox
    edited: Desired
    manifest: Path  # of the edited environment, below the folder of manifests
    chapter: int = 0

    # --- telling -----------------------------------------------------------------------------------

    def _title(self, text: str) -> None:
        self.chapter += 1
        line = f"{self.chapter}. {text}"
        write("\n" + self._style(f"━━ {line} " + "━" * max(3, 76 - len(line)), bold=True))

    def _say(self, text: str) -> None:
        write(text + "\n")

    def _style(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if wants_colour(sys.stdout, os.environ) else text

    def _run(self, *arguments: str, expect: int = 0) -> None:
        """Runs a command in this process, as typed, against the sandbox."""
        from reconciler.cli.main import run

        write(self._style("$ reconciler " + " ".join(arguments), fg="cyan"))
        # the example hosts are reserved ones, of which every command would warn again
        session = Session(
            environ=self.environ,
            folder=self.folder,
            flags={"attempts": "2"},
            base_url=self.sandbox.base_url,
            quiet=True,
        )
        code = run(arguments, obj=session)
        write(self._style(f"(exit code {code})", dim=True))
        if code != expect:
            raise _WentWrong(f"`reconciler {' '.join(arguments)}` ended with {code}, not {expect}")

    def _plug_holds(self, event: Event, path: str) -> None:
        token = self.environ[self.edited.token_env]
        held = self.sandbox.plug.companies[token].webhooks[event] or ""
        if not held.endswith(path):
            raise _WentWrong(f"Plug holds another {event}")
        self._say(f"Plug now holds, for {self.edited.environment}: {held}")

    # --- the story ---------------------------------------------------------------------------------

    def create(self) -> None:
        self._title("A first plan: nothing was applied yet")
        self._run("plan")
        self._title("Apply it: per environment an intent is written, then the PUT sent, then the outcome recorded")
        self._run("apply", "--yes")

    def nothing(self) -> None:
        self._title("The same again: there is nothing to do, and nothing is sent")
        self._run("plan")

    def edit(self) -> None:
        self._title(f"Somebody edits a webhook of {self.edited.environment}")
        self._edit("v2")
        self._run("plan")
        self._run("apply", "--yes")
        self._plug_holds(Event.MESSAGE_STATUS, "v2")

    def lost_answer(self) -> None:
        self._title("A bad day: Plug acts, but its answer is lost. Nobody knows what the PUT did")
        self._edit("v3")
        self._set_lost_answers(1.0)
        self._run("apply", "--yes", expect=1)
        self._set_lost_answers(0.0)
        self._title("The edit is reverted. A tool that only compares would see nothing to do: Plug holds v3!")
        self._plug_holds(Event.MESSAGE_STATUS, "v3")
        self._edit("v2")
        self._run("plan", "--detailed-exitcode", expect=2)

    def repair(self) -> None:
        self._title("The next apply repairs it")
        self._run("apply", "--yes")
        self._plug_holds(Event.MESSAGE_STATUS, "v2")

    def dashboard(self) -> None:
        self._title("Somebody edits a webhook in Plug's dashboard. Manifests and state know nothing of it")
        self._show_account()
        edited = {Event.MESSAGE_STATUS: "https://somewhere.else.com.br/status"}
        self.sandbox.plug.edit(self.environ[self.edited.token_env], edited)
        self._run("plan")
        self._title("The partner API shows six of the seven: --observe looks there")
        self._run("drift", "--observe", "-e", self.edited.environment, expect=2)
        self._run("apply", "--observe", "--yes")
        self._plug_holds(Event.MESSAGE_STATUS, "v2")
        self._title("The history tells of it, and a page shows the whole fleet")
        self._run("state", "history", self.edited.environment)
        self._run("report", "--out", "fleet.html")
        if self.edited.environment not in (self.folder / "fleet.html").read_text(encoding="utf-8"):
            raise _WentWrong("the page doesn't show the environment")

    def drift(self) -> None:
        self._title("Drift: the manifest is ahead of what was applied")
        self._edit("v4")
        self._run("drift", expect=2)
        self._run("state", "history", self.edited.environment)

    def end(self) -> None:
        self._title("That was it")
        self._say("Everything happened in a temporary folder against a sandbox on this machine. Next: the README,")
        self._say("`reconciler validate`, and `reconciler plan` with your own manifests.")

    def _show_account(self) -> None:
        """Makes the environment observable: its account's id in the manifest, and the account in the sandbox."""
        from dataclasses import replace

        account = self.edited.account_id or "11111-22222-333333"
        if self.edited.account_id is None:
            self._write({"account_id": account})
            self._say(f"(manifests/{self.manifest}: account_id says which account of the partner API it is)")
        token = self.environ[self.edited.token_env]
        accounts = {**self.sandbox.plug.options.accounts, account: token}
        self.sandbox.plug.options = replace(self.sandbox.plug.options, accounts=accounts)

    def _set_lost_answers(self, probability: float) -> None:
        from dataclasses import replace

        self.sandbox.plug.options = replace(self.sandbox.plug.options, lost_answers=probability)

    def _edit(self, version: str) -> None:
        """Writes the URL, with a version, into the environment's own manifest."""
        text = self.edited.webhooks[Event.MESSAGE_STATUS]
        self._write({"webhooks": {str(Event.MESSAGE_STATUS): f"{text}{'&' if '?' in text else '?'}version={version}"}})
        self._say(f"(manifests/{self.manifest}: messageStatus gets ?version={version})")

    def _write(self, values: Mapping[str, Any]) -> None:
        """Into the environment's own manifest; its webhooks are merged."""
        import yaml

        path = self.folder / "manifests" / self.manifest
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        held["webhooks"] = {**held.get("webhooks", {}), **values.get("webhooks", {})}
        held |= {key: value for key, value in values.items() if key != "webhooks"}
        write_whole(path, yaml.safe_dump(held, allow_unicode=True, sort_keys=False))
