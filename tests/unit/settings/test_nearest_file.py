"""Which settings file counts, and what its paths are relative to (docs/settings.md)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.errors import InputError
from reconciler.settings.load import load_settings


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with settings at its root, below a folder that has settings too."""
    (tmp_path / "reconciler.toml").write_text("attempts = 9\n")
    top = tmp_path / "checkout"
    (top / ".git").mkdir(parents=True)
    (top / "services" / "plug").mkdir(parents=True)
    (top / "reconciler.toml").write_text(
        "attempts = 7\nmanifests = 'fleet'\nstate = 'states'\ntokens_file = 'tokens.yaml'\n"
        "secrets_file = '~/secrets.yaml'\n"
    )
    return top


def test_the_file_of_the_root_counts_below_it(checkout: Path) -> None:
    """Its paths lead to the same places from everywhere."""
    for depth, below in enumerate((checkout, checkout / "services", checkout / "services" / "plug")):
        loaded = load_settings({}, str(below), {})
        settings = loaded.settings
        assert settings.attempts == 7
        assert settings.manifests == os.path.join(*[".."] * depth, "fleet")
        assert settings.tokens_file == os.path.join(*[".."] * depth, "tokens.yaml")
        assert settings.secrets_file == "~/secrets.yaml"
        assert settings.state == "states"
        assert loaded.state_folder == checkout


def test_the_defaults_are_beside_the_file_too(checkout: Path) -> None:
    """A run in another folder must not begin with an empty state there."""
    (checkout / "reconciler.toml").write_text("attempts = 7\n")
    loaded = load_settings({}, str(checkout / "services"), {})
    assert loaded.settings.manifests == os.path.join("..", "manifests")
    assert (loaded.settings.state, loaded.state_folder) == (".reconciler/state", checkout)


def test_a_whole_path_of_the_file_stays(checkout: Path) -> None:
    (checkout / "reconciler.toml").write_text("manifests = '/srv/fleet'\n")
    assert load_settings({}, str(checkout / "services"), {}).settings.manifests == "/srv/fleet"


def test_paths_of_flags_and_variables_are_the_working_directorys(checkout: Path) -> None:
    below = checkout / "services"
    for environ, flags in (
        ({"RECONCILER_STATE": "mine", "RECONCILER_MANIFESTS": "mine"}, {}),
        ({}, {"state": "mine", "manifests": "mine"}),
    ):
        loaded = load_settings(environ, str(below), flags)
        assert (loaded.settings.state, loaded.state_folder) == ("mine", below)
        assert loaded.settings.manifests == "mine"
    assert load_settings({"RECONCILER_STATE": ""}, str(below), {}).state_folder == checkout


def test_the_nearest_file_alone_counts(checkout: Path) -> None:
    """Files are not merged; a pyproject.toml without our table does not count."""
    below = checkout / "services" / "plug"
    (below / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert load_settings({}, str(below), {}).settings.attempts == 7
    (checkout / "services" / "pyproject.toml").write_text("[tool.reconciler]\nconcurrency = 2\n")
    settings = load_settings({}, str(below), {}).settings
    assert (settings.concurrency, settings.attempts, settings.manifests) == (2, 4, os.path.join("..", "manifests"))


def test_nothing_above_the_root_is_read(checkout: Path) -> None:
    (checkout / "reconciler.toml").unlink()
    loaded = load_settings({}, str(checkout / "services"), {})
    assert loaded.settings.attempts == 4
    assert loaded.state_folder == checkout / "services"


def test_without_a_repository_only_the_working_directory_is_read(tmp_path: Path) -> None:
    """A file above it may belong to another user, as in /tmp."""
    (tmp_path / "reconciler.toml").write_text("attempts = 9\n")
    (tmp_path / "below").mkdir()
    assert load_settings({}, str(tmp_path / "below"), {}).settings.attempts == 4
    assert load_settings({}, str(tmp_path), {}).settings.attempts == 9


def test_a_fault_names_the_file_as_it_is_seen_from_here(checkout: Path) -> None:
    """A file that can't be read is not skipped for one above it."""
    (checkout / "reconciler.toml").write_text("atempts = 7\n")
    with pytest.raises(InputError) as caught:
        load_settings({}, str(checkout / "services"), {})
    assert [problem.file for problem in caught.value.problems] == [os.path.join("..", "reconciler.toml")]
    (checkout / "services" / "reconciler.toml").write_text("= broken\n")
    with pytest.raises(InputError) as caught:
        load_settings({}, str(checkout / "services" / "plug"), {})
    assert [problem.file for problem in caught.value.problems] == [os.path.join("..", "reconciler.toml")]


@pytest.mark.posix
def test_a_link_to_the_working_directory_changes_nothing(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(checkout / "services", target_is_directory=True)
    settings = load_settings({}, str(link), {}).settings
    assert (settings.attempts, settings.manifests) == (7, os.path.join("..", "fleet"))
