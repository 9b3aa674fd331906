"""The story of `reconciler demo`, with the same commands that a user types (docs/contract.md#commands).

The caller runs the commands and shows the texts, so this module does not import the command line.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from reconciler.io.files import write_whole
from reconciler.io.signals import INTERRUPTED
from reconciler.model import Desired, Event
from reconciler.sandbox.server import Sandbox

SELECTING = ("plan", "apply", "drift")
"""The commands of the story that act on all environments, unless `-e` selects some."""

PAGE = "fleet.html"  # in the story's folder


class StoryPart(StrEnum):
    """The kinds of texts in the story, which look different on a terminal."""

    TITLE = "title"
    TEXT = "text"
    COMMAND = "command"
    ENDED = "ended"


class StoryWentWrong(Exception):
    """Raised if something is not as the story says."""


def make_up(desired: Sequence[Desired]) -> dict[str, str]:
    """Return made-up values by variable: a token for each environment, and each secret. No real ones are read."""
    made = {one.token_env: f"made-up-token-of-{one.environment}" for one in desired}
    made["PLUG_PARTNER_TOKEN"] = "made-up-token-of-a-partner"  # noqa: S105
    return made | {name: f"made-up-{name.lower()}" for one in desired for name in one.secrets}


class StoryInterrupted(Exception):
    """Raised if a signal ended a command of the story."""


class Story(Struct):
    """A story in chapters. Each says what it does, does it with the real command, and checks the result.

    `folder` has the copied manifests, `edited` is the environment that is changed, and `manifest` its file below the
    folder of manifests. `globs` select environments, if not all take part. `run` runs a command with `environ`
    against the sandbox and returns its exit code.
    """

    folder: Path
    environ: Mapping[str, str]
    sandbox: Sandbox
    edited: Desired
    manifest: Path
    run: Callable[[Sequence[str]], int]
    write: Callable[[str, StoryPart], None]
    wait: Callable[[], None] = lambda: None  # before each further step
    globs: Sequence[str] = ()
    chapter: int = 0

    def tell(self) -> None:
        """Tell the whole story. Raises StoryWentWrong, StoryInterrupted."""
        self._create()
        self._nothing()
        self._edit_one()
        self._lose_answers()
        self._repair()
        self._edit_in_the_dashboard()
        self._drift()

    def end(self, page: Path) -> None:
        """Write the last texts after the sandbox has ended. `page` is where the page of the fleet was kept."""
        self._title("That was it")
        self._say("Everything happened in a temporary folder against a sandbox on this machine.")
        self._say(f"The page of the fleet is in {page}: open it in a browser.")
        self._say("Next: the section First steps of the README, or `reconciler validate` with your own manifests.")

    # --- the chapters ------------------------------------------------------------------------------

    def _create(self) -> None:
        self._title("A first plan: nothing was applied yet")
        self._run("plan")
        self._title("Apply it: per environment an intent is written, then the PUT sent, then the outcome recorded")
        self._run("apply", "--yes")

    def _nothing(self) -> None:
        self._title("The same again: there is nothing to do, and nothing is sent")
        self._run("plan")

    def _edit_one(self) -> None:
        self._title(f"Edit a webhook of {self.edited.environment}")
        self._edit("v2")
        self._run("plan")
        self._run("apply", "--yes")
        self._plug_holds(Event.MESSAGE_STATUS, "v2")

    def _lose_answers(self) -> None:
        self._title("A bad day: Plug acts, but its answer is lost. The effect of the PUT is unknown")
        self._edit("v3")
        self._set_lost_answers(1.0)
        self._run("apply", "--yes", expect=1)
        self._set_lost_answers(0.0)
        self._title("The edit is reverted. A tool that only compares would see nothing to do: Plug holds v3!")
        self._plug_holds(Event.MESSAGE_STATUS, "v3")
        self._edit("v2")
        self._run("plan", "--detailed-exitcode", expect=2)

    def _repair(self) -> None:
        self._title("The next apply repairs it")
        self._run("apply", "--yes")
        self._plug_holds(Event.MESSAGE_STATUS, "v2")

    def _edit_in_the_dashboard(self) -> None:
        self._title("A user edits a webhook in Plug's dashboard. Manifests and state don't show it")
        self._show_account()
        edited = {Event.MESSAGE_STATUS: "https://somewhere.else.com.br/status"}
        self.sandbox.plug.edit(self.environ[self.edited.token_env], edited)
        self._run("plan")
        self._title("The partner API shows six of the seven: --observe looks there")
        self._run("drift", "--observe", "-e", self.edited.environment, expect=2)
        self._run("apply", "--observe", "--yes")
        self._plug_holds(Event.MESSAGE_STATUS, "v2")
        self._title("The history shows it, and a page shows the whole fleet")
        self._run("state", "history", self.edited.environment)
        self._run("report", "--out", PAGE)
        if self.edited.environment not in (self.folder / PAGE).read_text(encoding="utf-8"):
            raise StoryWentWrong("the page doesn't show the environment")

    def _drift(self) -> None:
        self._title("Drift: the manifest is ahead of what was applied")
        self._edit("v4")
        self._run("drift", expect=2)

    # --- writing, running and checking -------------------------------------------------------------

    def _title(self, text: str) -> None:
        if self.chapter:
            self.wait()
        self.chapter += 1
        line = f"{self.chapter}. {text}"
        self.write(f"━━ {line} " + "━" * max(3, 76 - len(line)), StoryPart.TITLE)

    def _say(self, text: str) -> None:
        self.write(text, StoryPart.TEXT)

    def _run(self, *arguments: str, expect: int = 0) -> None:
        if arguments[0] in SELECTING and "-e" not in arguments:
            arguments = (*arguments, *(word for glob in self.globs for word in ("-e", glob)))
        self.write(f"$ reconciler {shlex.join(arguments)}", StoryPart.COMMAND)
        code = self.run(arguments)
        self.write(f"(exit code {code})", StoryPart.ENDED)
        if code == INTERRUPTED:
            raise StoryInterrupted
        if code != expect:
            raise StoryWentWrong(f"`reconciler {' '.join(arguments)}` ended with {code}, not {expect}")

    def _plug_holds(self, event: Event, path: str) -> None:
        token = self.environ[self.edited.token_env]
        held = self.sandbox.plug.company(token).webhooks[event] or ""
        if not held.endswith(path):
            raise StoryWentWrong(f"Plug holds another {event}")
        self._say(f"Plug now holds, for {self.edited.environment}: {held}")

    def _show_account(self) -> None:
        """Make the environment observable: write an account's id into the manifest, and add it to the sandbox."""
        account = self.edited.account_id or "11111-22222-333333"
        if self.edited.account_id is None:
            self._write_manifest({"account_id": account})
            self._say(f"(manifests/{self.manifest}: account_id says which account of the partner API it is)")
        options = self.sandbox.plug.options
        accounts = {**options.accounts, account: self.environ[self.edited.token_env]}
        self.sandbox.plug.options = replace(options, accounts=accounts)

    def _set_lost_answers(self, probability: float) -> None:
        self.sandbox.plug.options = replace(self.sandbox.plug.options, lost_answers=probability)

    def _edit(self, version: str) -> None:
        """Write the URL, with a version, into the environment's own manifest."""
        text = self.edited.webhooks[Event.MESSAGE_STATUS]
        url = f"{text}{'&' if '?' in text else '?'}version={version}"
        self._write_manifest({"webhooks": {str(Event.MESSAGE_STATUS): url}})
        self._say(f"(manifests/{self.manifest}: messageStatus gets ?version={version})")

    def _write_manifest(self, values: Mapping[str, Any]) -> None:
        """Change the environment's own manifest; its webhooks are merged."""
        import yaml

        path = self.folder / "manifests" / self.manifest
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        held["webhooks"] = {**held.get("webhooks", {}), **values.get("webhooks", {})}
        held |= {key: value for key, value in values.items() if key != "webhooks"}
        write_whole(path, yaml.safe_dump(held, allow_unicode=True, sort_keys=False))
