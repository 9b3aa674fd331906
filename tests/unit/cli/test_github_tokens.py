"""`github tokens --split`: the secrets of a fleet for GitHub, in files that only the user may read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from reconciler.core.shard import holds
from reconciler.model import Shard
from reconciler.plug.secret_files import load_secrets_file, load_tokens_file
from tests.acceptance.conftest import canary
from tests.fuzz.hostile import Drove, drive

FLEET = {f"loja-{number}": canary() for number in range(40)}
SECRETS = {"PLUG_SECRET_RECEIVE": canary("secret"), "PLUG_SECRET_OWN": canary("secret")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "tokens.yaml", "".join(f"{name}: {token}\n" for name, token in FLEET.items()))
    general, own = SECRETS.items()
    write(tmp_path / "secrets.yaml", f"{general[0]}: {general[1]}\nloja-7:\n  {own[0]}: '{own[1]}'\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def split(folder: Path, *arguments: str) -> Drove:
    given = ("--tokens", "tokens.yaml", "--secrets", "secrets.yaml", "--out", "parts", *arguments)
    return drive(folder, {}, "github", "tokens", *given, hidden=[*FLEET.values(), *SECRETS.values()])


def test_each_part_has_what_the_job_of_its_shard_needs(folder: Path) -> None:
    """It has nothing of another shard; both kinds of files can be loaded again."""
    drove = split(folder, "--split", "3")
    assert drove.code == 0
    general = "PLUG_SECRET_RECEIVE"
    for number in (1, 2, 3):
        wanted = {name for name in FLEET if holds(Shard(number, 3), name)}
        tokens = load_tokens_file(folder / f"parts/PLUG_TOKENS_{number}", "part")
        assert {name: token.reveal() for name, token in tokens.items()} == {name: FLEET[name] for name in wanted}
        secrets = load_secrets_file(folder / f"parts/PLUG_SECRETS_{number}", "part")
        assert {name: value.reveal() for name, value in secrets.general.items()} == {general: SECRETS[general]}
        assert set(secrets.own) == ({"loja-7"} if "loja-7" in wanted else set())
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder / "parts").iterdir()} == {0o600}
    assert "gh secret set PLUG_TOKENS_2 --env plug-fleet < parts/PLUG_TOKENS_2\n" in drove.err
    assert "gh variable set PLUG_SHARDS --body 3\n" in drove.err


def test_a_part_that_exists_is_not_overwritten(folder: Path) -> None:
    """No file is written."""
    (folder / "parts").mkdir()
    (folder / "parts/PLUG_SECRETS_2").write_text("mine")
    drove = split(folder, "--split", "2")
    assert (drove.code, drove.out) == (3, "")
    assert "parts/PLUG_SECRETS_2 exists (nothing was written: remove it, or name another folder)" in drove.err
    assert [path.name for path in (folder / "parts").iterdir()] == ["PLUG_SECRETS_2"]


def test_too_few_parts_are_refused_with_a_number_that_fits(folder: Path) -> None:
    """Nothing is written before."""
    write(folder / "tokens.yaml", "".join(f"loja-{number}: {'x' * 2000}\n" for number in range(40)))
    drove = split(folder, "--split", "1")
    assert (drove.code, drove.out) == (3, "")
    assert "the largest part would have 80,595 bytes, and GitHub takes 49,152 (--split 2 fits)" in drove.err
    assert split(folder, "--split", "2").code == 0


def test_files_that_can_not_be_read_are_reported_together(folder: Path) -> None:
    """`~` is expanded as in the settings."""
    drove = split(folder, "--split", "2", "--tokens", "~no-such-user/tokens.yaml", "--secrets", "gone.yaml")
    assert (drove.code, drove.out) == (3, "")
    assert (
        "tokens_file: ~no-such-user/tokens.yaml begins with the home folder of an unknown user (write the whole path)"
        in drove.err
    )
    assert "gone.yaml:1:1: secrets_file: can't be read: No such file or directory" in drove.err


def test_more_parts_than_an_environment_has_secrets_are_refused(folder: Path) -> None:
    """With two files each part has two secrets."""
    drove = split(folder, "--split", "51")
    assert drove.code == 3
    assert "51 parts of 2 files are more than the 100 secrets of a GitHub Environment (--split 1 fits)" in drove.err
    write(folder / "tokens.yaml", f"loja: {'x' * 50_000}\n")
    assert "no number of parts fits: let a step of the workflow fetch the file" in split(folder, "--split", "1").err
