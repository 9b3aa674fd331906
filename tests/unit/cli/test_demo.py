"""The whole demo in this process: it succeeds, changes nothing of the user's, and reports where it fails."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from reconciler.cli.demo import copy_manifests
from reconciler.cli.main import run
from reconciler.cli.session import Session
from reconciler.errors import InputError
from tests.acceptance.conftest import ROOT
from tests.fuzz.hostile import drive

pytestmark = pytest.mark.slow
ONE = (
    "account_id: 7-loja\nwebhooks:\n"
    "  finishAttendance: https://hooks.acme.com.br/finish\n  startAttendance: https://hooks.acme.com.br/start\n"
    "  receiveMessage: https://hooks.acme.com.br/receive?key={secret:PLUG_SECRET_A}\n"
    "  sendingMessage: https://hooks.acme.com.br/sending\n  messageDeliveryError: https://hooks.acme.com.br/error\n"
    "  messageStatus: https://hooks.acme.com.br/status?x=1\n  whenDisconnecting: https://hooks.acme.com.br/gone\n"
)


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files, so that the kept page is removed with it."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of this repository's manifests."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", ["manifests", "{home}/manifests/"])
def test_the_story_succeeds_and_changes_nothing_of_the_users(home: Path, temporary: Path, place: str) -> None:
    """The copy of the manifests is edited, wherever they are. No state is left; the page is kept."""
    before = read_all(home)
    manifests = place.format(home=home)
    environ = {"PLUG_TOKEN_STAGING": "canary-5ecret+71d2e8"}
    drove = drive(home, environ, "demo", "--manifests", manifests)
    assert (drove.code, "error" in drove.err) == (0, False), drove.out
    assert read_all(home) == before
    titles = [line for line in drove.out.splitlines() if line.startswith("━━")]
    assert [int(line.split()[1].rstrip(".")) for line in titles] == list(range(1, len(titles) + 1))
    assert drove.out.count("(manifests/staging.yaml: messageStatus gets ?version=") == 4
    (page,) = temporary.rglob("*.html")
    assert [path for path in temporary.rglob("*") if path.is_file()] == [page]
    assert f"The page of the fleet is in {page}: open it in a browser.\n" in drove.out
    assert "staging" in page.read_text()


@pytest.mark.posix
def test_what_is_no_file_beside_the_manifests_is_not_copied(tmp_path: Path) -> None:
    """`validate` accepts a pipe, and a link to nothing, whose names are not those of manifests."""
    (tmp_path / "manifests/south").mkdir(parents=True)
    (tmp_path / "manifests/south/loja.yaml").write_text(ONE)
    os.mkfifo(tmp_path / "manifests/south/pipe")
    (tmp_path / "manifests/notes").symlink_to("nowhere")
    copy_manifests(tmp_path / "manifests", tmp_path / "copy")
    assert [path.name for path in sorted((tmp_path / "copy").rglob("*"))] == ["south", "loja.yaml"]
    with pytest.raises(InputError, match=r"^manifests: .*/manifests can't be copied: File exists \("):
        copy_manifests(tmp_path / "manifests", tmp_path / "copy")


def test_a_pause_needs_a_terminal(home: Path) -> None:
    """Without one the demo would wait for ever, or not at all."""
    drove = drive(home, {}, "demo", "--pause")
    assert (drove.code, drove.out) == (3, "")
    assert "--pause waits for Enter" in drove.err


def test_the_story_of_some_environments_leaves_the_others_out(home: Path) -> None:
    """Only these have made-up tokens, so a plan of the others would fail."""
    drove = drive(home, {}, "demo", "-e", "prod*")
    assert (drove.code, "error" in drove.err) == (0, False), drove.out
    assert "$ reconciler apply --yes -e 'prod*'\n" in drove.out
    assert "(manifests/production.yaml: messageStatus gets ?version=" in drove.out
    assert drive(home, {}, "demo", "-e", "nobody").code == 3


def test_an_environment_that_is_observable_keeps_its_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manifest needs no account for the demo, and an existing query is extended."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/loja.yml").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    drove = drive(tmp_path, {}, "demo", "--manifests", "hooks")
    assert (drove.code, "account_id says" in drove.out) == (0, False), drove.out
    assert "Plug now holds, for loja: https://hooks.acme.com.br/status?x=1&version=v2" in drove.out


def test_without_manifests_there_is_no_story(tmp_path: Path) -> None:
    """It exits with 3 and a hint; the same is true for invalid manifests."""
    drove = drive(tmp_path, {}, "demo")
    assert (drove.code, drove.out) == (3, "")
    assert "error: " in drove.err and "`reconciler init`" in drove.err
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/loja.yaml").write_text("wave: soon\n")
    drove = drive(tmp_path, {}, "demo")
    assert (drove.code, drove.out) == (3, "")
    assert "manifests/loja.yaml:1:7: wave: " in drove.err


def test_a_story_that_goes_wrong_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user must not read that all is well. In this test `report` has no --out."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/loja.yaml").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    other = SimpleNamespace(report=click.Command("report"))
    monkeypatch.setitem(sys.modules, "reconciler.cli.report", other)
    drove = drive(tmp_path, {}, "demo")
    assert (drove.code, "That was it" in drove.out) == (1, False)
    assert (
        drove.err.splitlines()[-1]
        == "error: the demo went wrong: `reconciler report --out fleet.html` ended with 3, not 0"
    )


def test_a_story_that_was_interrupted_did_not_go_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """130 comes before 1. In this test `report` is the command that a signal ends."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/loja.yaml").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    ended = SimpleNamespace(report=click.Command("report", params=[click.Option(["--out"])], callback=lambda out: 130))
    monkeypatch.setitem(sys.modules, "reconciler.cli.report", ended)
    assert run(["demo"], obj=Session(environ={}, folder=tmp_path)) == 130
    shown = capsys.readouterr()
    assert ("That was it" in shown.out, "went wrong" in shown.err) == (False, False)
