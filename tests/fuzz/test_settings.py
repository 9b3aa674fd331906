"""Settings from hostile files, variables and flags."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import InputError
from reconciler.settings.flags import SETTING_FLAGS
from reconciler.settings.load import load_settings
from reconciler.state.open import open_store
from tests.fuzz.hostile import CANARY, PIECES, bounded, refused_or, spliced, variable_texts
from tests.fuzz.targets import is_this_machine, seen_by_all

VALID = b"""# all of it
manifests = "m"
state = 'git:origin/state'
attempts = 4
rate_limit = 0.5
timeout = "30s"
max_changed = "50%"
allow_local_receivers = false
[api]
base_url = "https://www.plugchat.com.br/x"
auth_scheme = "raw"
allowed_hosts = ["www.plugchat.com.br"]
[partner]
token_env = "PLUG_PARTNER_TOKEN"
[policy]
allowed_hosts = ["*.acme.com.br"]
"""
WORDS = [piece.encode("utf-8") for piece in PIECES] + [
    *(
        b"[",
        b"]",
        b"[[",
        b"]]",
        b"{",
        b"'''",
        b'"""',
        b"#",
        b".",
        b"a.b.c = 1\n",
        b"[tool.reconciler]\n",
        b"1979-05-27T25:00:00Z",
    ),
    *(b"0x1", b"+inf", b"9" * 5000, b" " * 3000, b"a." * 200, b"\xff", b"api = 3\n", b"[api.x.y]\n", CANARY.encode()),
]
PATHS = [flag.path for flag in SETTING_FLAGS]
VARIABLES = [flag.variable for flag in SETTING_FLAGS] + ["RECONCILER_API", "RECONCILER_POLICY", "RECONCILER_X"]


def check(environ: dict[str, str], folder: str, flags: dict[str, object]) -> None:
    loaded = refused_or(lambda: load_settings(environ, folder, flags), InputError)
    if loaded is None:
        return
    settings = loaded.settings
    place = seen_by_all(settings.api.base_url)
    allowed = {host.strip("[]") for host in map(str.lower, settings.api.allowed_hosts)}
    assert is_this_machine(place.host) or (place.scheme == "https" and place.host in allowed)
    refused_or(lambda: open_store(settings.state, Path(folder)), InputError)


@pytest.mark.parametrize("name", ["reconciler.toml", "pyproject.toml"])
@bounded
@given(data=spliced(VALID, WORDS) | st.lists(st.sampled_from(WORDS) | st.binary(max_size=6), max_size=9).map(b"".join))
def test_a_settings_file_is_valid_or_refused(name: str, data: bytes) -> None:
    """No message repeats a value, which may be a token in the wrong place."""
    with tempfile.TemporaryDirectory() as folder:
        table = b"[tool.reconciler]\n" if name == "pyproject.toml" else b""
        (Path(folder) / name).write_bytes(table + data)
        check({}, folder, {})


@bounded
@given(st.dictionaries(st.sampled_from(VARIABLES), variable_texts, max_size=5))
def test_variables_are_settings_or_refused(environ: dict[str, str]) -> None:
    """A variable may hold any text that the system allows."""
    check(environ, "/nonexistent", {})


@bounded
@given(st.dictionaries(st.sampled_from(PATHS), variable_texts, max_size=5))
def test_flags_are_settings_or_refused(flags: dict[str, object]) -> None:
    """The same holds for flags."""
    check({}, "/nonexistent", flags)
