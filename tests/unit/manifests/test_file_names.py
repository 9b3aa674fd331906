"""A file whose name is nearly a manifest's or the defaults' is never skipped silently."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.manifests.file_names import find_near_miss, is_lookalike
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
        *("_defaults.json", "_default.json", "_defaults.jsn", "_defaults.yaml.yaml", "_defaults.yml.yaml"),
        *("_defaults", "_Defaults", "defaults.json", "_defualts", "_defaults.json.yml"),
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


@pytest.mark.parametrize(
    "name",
    [
        "loja.yaml.bak",
        "loja.yaml~",
        "loja.json",
        "loja.yamll.txt",
        "_defaults.yaml~",
        "_defaults.txt",
        "_default.toml",
        "staging.yam",
        "loja.YM",
    ],
)
def test_another_ending_behind_that_of_a_manifest_is_a_warning(name: str) -> None:
    """It may be a backup, so it is not an error."""
    assert find_near_miss(name) is None
    assert is_lookalike(name)


@pytest.mark.parametrize(
    "name",
    [
        "loja.yaml",
        "loja.yml",
        "_defaults.yaml",
        "_notes.YAML",
        ".loja.yaml.swp",
        "README.md",
        "yaml",
        "default.yaml",
        "default",
        "a.ml",
        "_notes.yam",
        "._defaults.yaml.swp",
    ],
)
def test_other_names_are_not_reported(name: str) -> None:
    """Hidden names and names that don't look like a manifest are neither an error nor a warning."""
    assert find_near_miss(name) is None
    assert not is_lookalike(name)


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "loja.yaml").write_text(WEBHOOKS)
    return folder


def load() -> Tree:
    return load_tree("manifests", TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",)))


@pytest.mark.posix
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


@pytest.mark.parametrize("name", ["_defaults.yaml", "_defaults.yml", "defaults.yaml", "_defaults.json"])
def test_a_folder_named_like_the_defaults_is_an_error(manifests: Path, name: str) -> None:
    """Its author expected the policy in it to apply; no environment is read from it."""
    (manifests / name).mkdir()
    (manifests / name / "evil.yaml").write_text(WEBHOOKS)
    tree = load()
    assert [(one.file, one.message, one.hint) for one in tree.errors] == [
        (
            f"manifests/{name}",
            "is a folder: defaults are read from a file named _defaults.yaml",
            "move its defaults into such a file, or give the folder another name",
        )
    ]
    assert tree.names == {"loja"}


@pytest.mark.parametrize("name", ["_defaults", "defaults"])
def test_a_folder_may_be_named_after_defaults_without_an_ending(manifests: Path, name: str) -> None:
    """A name with `_` is hidden, the other is an ordinary folder."""
    (manifests / name).mkdir()
    (manifests / name / "matriz.yaml").write_text(WEBHOOKS.replace("hooks.", "matriz."))
    tree = load()
    assert tree.errors == ()
    assert tree.names == ({"loja"} if name[0] == "_" else {"loja", "matriz"})


def test_two_paths_that_some_systems_treat_as_one_are_an_error(manifests: Path) -> None:
    """Files and folders are compared, without case and with normalized accents."""
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


@pytest.mark.posix
def test_names_that_windows_reserves_are_errors(manifests: Path) -> None:
    """Folders, files and environments are checked; a file's own faults are reported too, its name once."""
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
