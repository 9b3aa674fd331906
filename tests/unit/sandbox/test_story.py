"""The story without a command line: it fails if a command does not do what the story says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from reconciler.model import EVENTS, Event
from reconciler.sandbox.server import Sandbox, serve_in_thread
from reconciler.sandbox.story import Story, StoryWentWrong, make_up
from tests.fakes import make_desired

DESIRED = make_desired("loja", account_id="7-loja", secrets=("PLUG_SECRET_A",))
EXIT_CODES = {  # the exit codes that the story expects, one after another
    "plan": [0, 0, 0, 2, 0],
    "apply --yes": [0, 0, 1, 0],
    "drift --observe -e loja": [2],
    "apply --observe --yes": [0],
    "state history loja": [0, 0],
    "report --out fleet.html": [0],
    "drift": [2],
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serve_in_thread() as serving:
        yield serving


class Commands:
    """Ends each command with the exit code that the story expects. `does` does the work of the typed words."""

    def __init__(self, does: Callable[[str], object]) -> None:
        self._does = does
        self._left = {words: list(codes) for words, codes in EXIT_CODES.items()}

    def run(self, arguments: Sequence[str]) -> int:
        typed = " ".join(arguments)
        self._does(typed)
        return self._left[typed.removesuffix(" --detailed-exitcode")].pop(0)


def make_story(folder: Path, sandbox: Sandbox, run: Callable[[Sequence[str]], int], shown: list[str]) -> Story:
    (folder / "manifests").mkdir()
    (folder / "manifests/loja.yaml").write_text("wave: 1\n")
    environ = make_up([DESIRED])
    return Story(folder, environ, sandbox, DESIRED, Path("loja.yaml"), run, lambda text, style: shown.append(text))


def put_what_the_manifest_says(folder: Path, sandbox: Sandbox) -> None:
    """Do what `apply` would do."""
    url = DESIRED.webhooks[Event.MESSAGE_STATUS]
    for line in (folder / "manifests/loja.yaml").read_text().splitlines():
        if "messageStatus:" in line:
            url = line.partition(": ")[2]
    company = sandbox.plug.company("made-up-token-of-loja")
    company.webhooks.update({event: DESIRED.webhooks[event] for event in EVENTS} | {Event.MESSAGE_STATUS: url})


def test_the_story_ends_where_every_command_does_what_it_says(tmp_path: Path, sandbox: Sandbox) -> None:
    """Chapters are counted, and what Plug holds is shown."""
    shown: list[str] = []

    def act(typed: str) -> None:
        if typed.startswith("apply"):
            put_what_the_manifest_says(tmp_path, sandbox)
        if typed.startswith("report"):
            (tmp_path / "fleet.html").write_text("loja")

    story = make_story(tmp_path, sandbox, Commands(act).run, shown)
    story.tell()
    page = tmp_path / "fleet.html"
    story.end(page)
    assert story.chapter == sum(line.startswith("━━") for line in shown) == 12
    assert any(line.endswith("/messageStatus/1?version=v3") for line in shown if line.startswith("Plug now holds"))


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda folder, sandbox, typed: None, "Plug holds another messageStatus"),
        (
            lambda folder, sandbox, typed: (
                (folder / "fleet.html").write_text("")
                if typed.startswith("report")
                else put_what_the_manifest_says(folder, sandbox)
                if typed.startswith("apply")
                else None
            ),
            "the page doesn't show the environment",
        ),
    ],
    ids=["nothing is put", "an empty page"],
)
def test_a_command_that_does_not_do_what_it_says_is_found_out(
    tmp_path: Path, sandbox: Sandbox, act: Callable[[Path, Sandbox, str], object], reason: str
) -> None:
    """Exit 0 alone proves nothing."""
    run = Commands(lambda typed: act(tmp_path, sandbox, typed)).run
    with pytest.raises(StoryWentWrong, match=reason):
        make_story(tmp_path, sandbox, run, []).tell()


def test_another_exit_code_than_expected_ends_the_story(tmp_path: Path, sandbox: Sandbox) -> None:
    """It names the command and both codes."""
    shown: list[str] = []
    story = make_story(tmp_path, sandbox, lambda arguments: 4, shown)
    with pytest.raises(StoryWentWrong, match="`reconciler plan` ended with 4, not 0"):
        story.tell()
    assert shown[1:] == ["$ reconciler plan", "(exit code 4)"]


def test_what_is_made_up_is_a_token_for_each_and_a_value_for_each_secret() -> None:
    """The values are by variable, and none is the user's."""
    assert make_up([DESIRED]) == {
        "PLUG_TOKEN_LOJA": "made-up-token-of-loja",
        "PLUG_PARTNER_TOKEN": "made-up-token-of-a-partner",
        "PLUG_SECRET_A": "made-up-plug_secret_a",
    }
