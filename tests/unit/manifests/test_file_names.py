"""A file whose name is nearly one with a meaning is never skipped in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.manifests.file_names import find_near_miss, is_not_read
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.model import EVENTS, AuthScheme

WEBHOOKS = "webhooks:\n" + "".join(f"  {event}: https://hooks.acme.com.br/{event}\n" for event in EVENTS)


@pytest.mark.parametrize(
    "name",
    [
        *("_default.yaml", "defaults.yaml", "defaults.yml", "_defaultss.yaml", "_defualts.yaml", "-defaults.yaml"),
        *("_Defaults.yaml", "_defaults.YAML", "_defaults.YML", "_DEFAULTS.yml", "_defaults.yam", "_defaults.yaml."),
        *("_defaults.yaml ", ".defaults.yaml", "_defaults.yamll"),
    ],
)
def test_a_name_that_is_nearly_that_of_the_defaults_is_an_error(name: str) -> None:
    """The policy in it would be ignored."""
    fault = find_near_miss(name)
    assert fault is not None
    assert fault.hint.startswith("did you mean _defaults.yaml?")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("production.YML", "production.yml"), ("loja.Yaml", "loja.yaml"), ("loja.ymal", "loja.yaml")),
        *(("loja.yamll", "loja.yaml"), ("loja.yyml", "loja.yml"), ("loja.ylm", "loja.yml"), ("a.b.YAML", "a.b.yaml")),
        *(
            ("loja.yaml ", "loja.yaml"),
            ("loja.yml..", "loja.yml"),
            ("loja.YAML. ", "loja.yaml"),
            ("ß.YML", "ß.yml"),
            ("a.yaml\u00a0", "a.yaml"),
        ),
    ],
)
def test_a_name_that_is_nearly_that_of_a_manifest_is_an_error(name: str, meant: str) -> None:
    """Its environment would look like an orphan."""
    fault = find_near_miss(name)
    assert fault is not None
    assert fault.hint == f"did you mean {meant}? Rename it"


@pytest.mark.parametrize("name", ["loja.yaml.bak", "loja.yaml~", "loja.json", "loja.yamll.txt", "_defaults.yaml~"])
def test_another_ending_behind_that_of_a_manifest_is_a_warning(name: str) -> None:
    """It may be a backup, so it is not an error."""
    assert find_near_miss(name) is None
    assert is_not_read(name)


@pytest.mark.parametrize(
    "name",
    ["loja.yaml", "loja.yml", "_defaults.yaml", "_notes.YAML", ".loja.yaml.swp", "README.md", "yaml", "default.yaml"],
)
def test_other_names_have_their_meaning_or_none(name: str) -> None:
    """Hidden names, and names that look like nothing of ours, are left in peace."""
    assert find_near_miss(name) is None
    assert not is_not_read(name)


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "loja.yaml").write_text(WEBHOOKS)
    return folder


def load() -> Tree:
    return load_tree("manifests", TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",)))


def test_a_misnamed_file_is_not_read_and_a_folder_of_that_name_is(manifests: Path) -> None:
    """Only a file can be meant to be a manifest or defaults."""
    (manifests / "a.YML").write_text("[")
    (manifests / "b.YML").mkdir()
    (manifests / "b.YML" / "matriz.yaml").write_text(WEBHOOKS.replace("hooks.", "matriz."))
    (manifests / "circle.json").symlink_to("circle.json")
    tree = load()
    assert [(one.file, one.message) for one in tree.errors] == [
        ("manifests/a.YML", "is not read: its name is nearly that of a manifest")
    ]
    assert [(one.file, one.message) for one in tree.warnings] == [
        ("manifests/circle.json", "is not read because of its ending")
    ]
    assert tree.names == {"loja", "matriz"}


def test_two_paths_that_are_one_on_some_systems_are_an_error(manifests: Path) -> None:
    """Files and folders alike, also in the form of an accent, and files that hold no environment."""
    (manifests / "Loja.yaml").write_text("environment: outra\n" + WEBHOOKS)
    (manifests / "S\u00e3o").mkdir()
    (manifests / "S\u0061\u0303o").mkdir()
    if len(os.listdir(manifests)) < 4:
        pytest.skip("this file system ignores case")
    found = [(one.file, one.message) for one in load().errors]
    assert found == [
        (
            "manifests/S\u00e3o",
            "has the same name as manifests/S\u0061\u0303o on systems where case or the form of an accent is ignored",
        ),
        (
            "manifests/loja.yaml",
            "has the same name as manifests/Loja.yaml on systems where case or the form of an accent is ignored",
        ),
    ]


def test_names_that_windows_reserves_are_errors(manifests: Path) -> None:
    """Of a folder, a file and an environment; the file's own faults are reported as well, the name once."""
    (manifests / "aux").mkdir()
    (manifests / "aux" / "nul.yaml").write_text("wave: x\n" + WEBHOOKS)
    (manifests / "loja.yaml").write_text("environment: com1.br\n" + WEBHOOKS)
    found = [(one.file, one.key, one.message) for one in load().errors]
    assert found == [
        ("manifests/aux", "", "its name is reserved by Windows for a device"),
        ("manifests/aux/nul.yaml", "", "its name is reserved by Windows for a device"),
        ("manifests/aux/nul.yaml", "wave", "is a text"),
        ("manifests/loja.yaml", "environment", "the name of the environment is reserved by Windows for a device"),
    ]
