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
        ("file:///srv/my%20states", "/srv/my states"),
        ("file:my%20states", "/work/my%20states"),
        (r"c:\plug\states", r"/work/c:\plug\states"),
        ("c:/plug/states", "/work/c:/plug/states"),
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
        ("", "does not name a folder"),
        ("file:", "does not name a folder"),
        ("a\0b", "does not name a folder"),
        ("file:///srv/a%00b", "does not name a folder"),
        ("file://srv/states", "does not name an absolute path after file://"),
        ("file://", "does not name an absolute path after file://"),
        ("file://./states", "does not name an absolute path after file://"),
        ("file:////srv/states", "does not name an absolute path after file://"),
        ("http://host/state", "http: is not a store"),
        ("sqlite:state.db", "sqlite: is not a store"),
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
