"""The command that adds an extra is the one for the way in which the program was installed."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest

from reconciler.io.installed import DISTRIBUTION, describe_extra_install, make_extra_command, parse_checkout

PYTHON = "/venv/bin/python"


@pytest.mark.parametrize(
    ("prefix", "checkout", "command"),
    [
        ("/home/ana/.local/share/pipx/venvs/plug-reconciler", None, "pipx install --force 'plug-reconciler[objects]'"),
        ("/home/ana/.local/pipx/venvs/plug-reconciler", "/src", "pipx install --force '/src[objects]'"),
        (
            "/home/ana/.local/share/uv/tools/plug-reconciler",
            None,
            "uv tool install --force 'plug-reconciler[objects]'",
        ),
        ("/home/ana/.cache/uv/archive-v0/x1y2", None, "uvx --from 'plug-reconciler[objects]' reconciler"),
        ("/venv", None, "/venv/bin/python -m pip install 'plug-reconciler[objects]'"),
        ("/venv", "/my src", "/venv/bin/python -m pip install '/my src[objects]'"),
        ("/home/pipx/venv", None, "/venv/bin/python -m pip install 'plug-reconciler[objects]'"),
    ],
)
def test_the_command_fits_the_installation(prefix: str, checkout: str | None, command: str) -> None:
    """The ways are pipx, uv, uvx and a virtual environment, from an index or a checkout."""
    assert make_extra_command("objects", prefix=PurePosixPath(prefix), python=PYTHON, checkout=checkout) == command


def test_the_folders_of_windows_are_recognised() -> None:
    """pipx writes its folder in lower case there too, but users may not."""
    prefix = PureWindowsPath(r"C:\Users\Ana\pipx\venvs\plug-reconciler")
    command = make_extra_command("objects", prefix=prefix, python="python", checkout=None)
    assert command == "pipx install --force 'plug-reconciler[objects]'"


@pytest.mark.posix
@pytest.mark.parametrize(
    ("text", "folder"),
    [
        (None, None),
        ("", None),
        ("{", None),
        ("[]", None),
        ('{"url": "file:///src/plug%20x", "dir_info": {"editable": true}}', "/src/plug x"),
        ('{"url": "file:///src", "dir_info": {}}', "/src"),
        ('{"url": "https://example.com/x.whl", "archive_info": {}}', None),
        ('{"url": "https://example.com/x", "dir_info": {}}', None),
        ('{"url": 1, "dir_info": {}}', None),
    ],
)
def test_a_checkout_is_read_from_the_packages_origin(text: str | None, folder: str | None) -> None:
    """An archive, or metadata that can't be read, is no checkout."""
    assert parse_checkout(text) == folder


def test_this_installation_has_a_command() -> None:
    """It names the extra, whatever the installation is."""
    assert describe_extra_install("objects").split(" ")[-1].strip("'").endswith("[objects]")
    assert DISTRIBUTION == "plug-reconciler"
