"""The `state` setting (CONTRACT §7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import InputError
from reconciler.state.open import open_store


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        (".reconciler/state", "/work/.reconciler/state"),
        ("file:states", "/work/states"),
        ("file:/srv/states", "/srv/states"),
        ("file:///srv/states", "/srv/states"),
        ("/srv/states", "/srv/states"),
        ("state.d/a:b", "/work/state.d/a:b"),
        ("git:origin/reconciler-state", "git:origin/reconciler-state"),
        ("git:up.stream/states/plug", "git:up.stream/states/plug"),
    ],
)
def test_a_setting_names_a_store(setting: str, place: str) -> None:
    assert open_store(setting, Path("/work")).location == place


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("", "names no folder"),
        ("file:", "names no folder"),
        ("a\0b", "names no folder"),
        ("http://host/state", "http: is no store"),
        ("sqlite:state.db", "sqlite: is no store"),
        ("git:origin", "names no remote and branch"),
        ("git:/branch", "names no remote and branch"),
        ("git:origin/a..b", "names no remote and branch"),
        ("git:origin/-x", "names no remote and branch"),
        ("git:origin/x.lock", "names no remote and branch"),
        ("git:--upload-pack=x/y", "names no remote and branch"),
        ("s3://", "names no bucket"),
    ],
)
def test_a_setting_that_names_none_says_what_would(setting: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_store(setting, Path("/work"))
    (problem,) = caught.value.problems
    assert (problem.key, problem.message) == ("state", message)
    assert problem.hint
