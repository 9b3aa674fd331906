"""The tree that is read: links, pipes, unreadable files, files made to do harm, and the places of values."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import pytest
from msgspec.structs import replace

from reconciler.manifests import STORED_SCHEMA as SCHEMA
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.model import EVENTS, AuthScheme, BodyForm, Location

WEBHOOKS = "webhooks:\n" + "".join(
    f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}\n" for event in EVENTS
)


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "production.yaml").write_text(WEBHOOKS)
    return folder


def load(base_url: str = "https://www.plugchat.com.br/prefix/") -> Tree:
    return load_tree(
        "manifests",
        TreeOptions(base_url=base_url, auth_scheme=AuthScheme.RAW, allowed_hosts=("www.plugchat.com.br",)),
    )


def test_a_desired_has_the_place_of_each_value(manifests: Path) -> None:
    """The place is that of the value that won the merge."""
    (manifests / "_defaults.yaml").write_text(WEBHOOKS)
    (manifests / "production.yaml").write_text("wave: 3\nenvironment: main\nwebhooks:\n  messageStatus: https://a.b/\n")
    (desired,) = load().desired
    assert desired.environment == "main"
    assert desired.wave == 3
    assert desired.token_env == "PLUG_TOKEN_MAIN"
    assert desired.endpoint == "https://www.plugchat.com.br/prefix/api/integrations/update-webhooks"
    assert desired.source == Location("manifests/production.yaml", 2, 1)
    for event in EVENTS:
        expected = "manifests/production.yaml" if event == "messageStatus" else "manifests/_defaults.yaml"
        assert desired.sources[event].file == expected
    assert desired.sources[EVENTS[5]] == Location("manifests/production.yaml", 4, 18)


def test_desired_are_sorted_by_wave_and_name(manifests: Path) -> None:
    """The order in which the folder is read does not matter."""
    for name, wave in (("b", 1), ("a", 1), ("z", 0)):
        (manifests / f"{name}.yaml").write_text(f"wave: {wave}\n{WEBHOOKS}")
    assert [one.environment for one in load().desired] == ["production", "z", "a", "b"]


@pytest.mark.posix
@pytest.mark.parametrize("name", ["linked.yaml", "folder", "_defaults.yaml"])
def test_a_link_that_leaves_the_tree_is_refused(manifests: Path, tmp_path: Path, name: str) -> None:
    """Files, folders and defaults are all checked."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file.yaml").write_text(WEBHOOKS)
    (manifests / name).symlink_to(outside if name == "folder" else outside / "file.yaml")
    (error,) = load().errors
    assert error.file == f"manifests/{name}"
    assert "leaves the tree" in error.message


@pytest.mark.posix
def test_a_link_within_the_tree_is_followed(manifests: Path) -> None:
    """A file by another name is another environment."""
    (manifests / "staging.yaml").symlink_to("production.yaml")
    tree = load()
    assert tree.errors == ()
    assert tree.names == {"production", "staging"}


@pytest.mark.parametrize("target", [".", "../manifests", "loop"])
def test_a_link_around_in_circles_ends(manifests: Path, target: str) -> None:
    """It may be an error, but it never hangs."""
    (manifests / "loop").symlink_to(target)
    assert load().names == {"production"}


class Junction:
    """An entry as Windows shows a junction: a folder that leads elsewhere and is not a symbolic link."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name = entry.name
        self.is_dir = entry.is_dir

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return True


@pytest.mark.posix
def test_a_junction_is_a_link(manifests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may lead out of the tree, or around in a circle."""
    (manifests / "loop").symlink_to(".")
    (manifests.parent / "outside").mkdir()
    (manifests / "outside").symlink_to("../outside")
    scan = os.scandir

    @contextlib.contextmanager
    def scandir(path: str) -> Iterator[list[object]]:
        with scan(path) as found:
            yield [Junction(entry) if entry.is_symlink() else entry for entry in found]

    monkeypatch.setattr(os, "scandir", scandir)
    tree = load()
    assert [(one.file, one.message) for one in tree.errors] == [
        ("manifests/loop", "is a symbolic link to a folder around it"),
        ("manifests/outside", "is a symbolic link that leaves the tree"),
    ]
    assert tree.names == {"production"}


@pytest.mark.parametrize("root", ["manifests/", "./manifests", ".//manifests/.", PureWindowsPath(".\\manifests")])
def test_a_file_has_one_name_however_its_folder_is_written(
    manifests: Path, monkeypatch: pytest.MonkeyPatch, root: str | PureWindowsPath
) -> None:
    """Plans and messages show it. Windows' names are shown with forward slashes too."""
    (manifests / "bad.yaml").write_text("[")
    if isinstance(root, PureWindowsPath):
        monkeypatch.setattr("reconciler.manifests.tree.PurePath", PureWindowsPath)
    tree = load_tree(
        str(root),
        TreeOptions(base_url="https://www.plugchat.com.br", auth_scheme=AuthScheme.RAW, allowed_hosts=("*",)),
    )
    assert [one.file for one in tree.errors] == ["manifests/bad.yaml"]
    assert [one.source.file for one in tree.desired] == ["manifests/production.yaml"]


@pytest.mark.posix
def test_a_dangling_link_is_an_error(manifests: Path) -> None:
    """Without an error, an environment would silently be missing."""
    (manifests / "gone.yaml").symlink_to("nowhere.yaml")
    assert [(one.file, one.message) for one in load().errors] == [
        ("manifests/gone.yaml", "is a symbolic link to nothing")
    ]


@pytest.mark.posix
def test_a_link_to_a_name_that_no_file_can_have_is_dangling(manifests: Path) -> None:
    """Such a link can be made, but the system refuses every question about its target."""
    (manifests / "gone.yaml").symlink_to("x" * 300)
    assert [(one.file, one.message) for one in load().errors] == [
        ("manifests/gone.yaml", "is a symbolic link to nothing")
    ]


@pytest.mark.posix
def test_a_link_whose_target_the_system_hides_is_an_error(manifests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux shows the targets of some links in /proc only to their owner."""
    (manifests / "hidden.yaml").symlink_to("production.yaml")
    really = os.readlink

    def refuse(path: str, **options: int) -> str:
        if str(path).endswith("hidden.yaml"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path, **options)

    monkeypatch.setattr(os, "readlink", refuse)
    assert [(one.file, one.message) for one in load().errors] == [
        ("manifests/hidden.yaml", "is a symbolic link that can't be followed: Permission denied")
    ]


@pytest.mark.posix
def test_a_folder_is_read_once_and_a_hidden_one_only_through_a_link(manifests: Path) -> None:
    """Links to folders of links would be read exponentially often; a hidden folder is read only through a link."""
    (manifests / "team").mkdir()
    (manifests / "team/loja.yaml").write_text(WEBHOOKS)
    (manifests / "again").symlink_to("team")
    (error,) = load().errors
    assert (error.file, error.message, error.hint) == (
        "manifests/again",
        "is a symbolic link to a folder that is read already",
        "remove it",
    )
    (manifests / "again").unlink()
    (manifests / "team").rename(manifests / "_team")
    assert load().names == {"production"}
    (manifests / "team").symlink_to("_team")
    tree = load()
    assert tree.errors == ()
    assert tree.names == {"production", "loja"}


@pytest.mark.posix
def test_what_is_nested_beyond_the_systems_longest_path_is_an_error(manifests: Path) -> None:
    """Neither a folder nor a file counts as empty."""
    shown, inner = "manifests", os.open(manifests, os.O_RDONLY)
    while len(shown) < 3_840:
        os.mkdir("d" * 200, dir_fd=inner)
        outer, inner = inner, os.open("d" * 200, os.O_RDONLY, dir_fd=inner)
        os.close(outer)
        shown += "/" + "d" * 200
    name = "e" * (4_090 - len(shown))
    os.mkdir(name, dir_fd=inner)
    deepest = os.open(name, os.O_RDONLY, dir_fd=inner)
    os.close(os.open("f" * 200 + ".yaml", os.O_WRONLY | os.O_CREAT, dir_fd=deepest))
    os.mkdir("g" * 200, dir_fd=deepest)
    os.close(deepest)
    os.close(inner)
    long = "can't be read: File name too long"
    assert [(one.file, one.message) for one in load().errors] == [
        (f"{shown}/{name}/{'f' * 200}.yaml", long),
        (f"{shown}/{name}/{'g' * 200}", long),
    ]


def test_a_disk_that_fails_while_a_file_is_read_is_an_error(manifests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a file would be another configuration."""

    def fail(descriptor: int, length: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.read", fail)
        errors = load().errors
    assert [(one.file, one.message) for one in errors] == [
        ("manifests/production.yaml", "can't be read: Input/output error")
    ]


@pytest.mark.posix
def test_a_pipe_named_like_a_manifest_never_hangs(manifests: Path) -> None:
    """Only regular files are read."""
    os.mkfifo(manifests / "pipe.yaml")
    assert [(one.file, one.message) for one in load().errors] == [("manifests/pipe.yaml", "is not a regular file")]


@pytest.mark.posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_an_error(manifests: Path) -> None:
    """It does not count as missing."""
    (manifests / "secret.yaml").touch(mode=0)
    assert [one.file for one in load().errors] == ["manifests/secret.yaml"]


@pytest.mark.parametrize("piece", ["[", "{", "- ", "? ", "{a: ", "[{a: "])
def test_a_mebibyte_of_nesting_is_an_error(manifests: Path, piece: str) -> None:
    """libyaml's composer recurses in C, and never gets such a file."""
    (manifests / "bomb.yaml").write_text(piece * (2**20 // len(piece)))
    assert [(one.file, one.message) for one in load().errors] == [("manifests/bomb.yaml", "is nested too deeply")]


@pytest.mark.posix
def test_more_than_a_mebibyte_is_refused(manifests: Path) -> None:
    """A file of exactly one MiB is read."""
    (manifests / "large.yaml").write_text("#" * (2**20 - len(WEBHOOKS) - 1) + "\n" + WEBHOOKS)
    assert load().errors == ()
    (manifests / "large.yaml").write_text("#" * (2**20 - len(WEBHOOKS)) + "\n" + WEBHOOKS)
    assert [(one.file, one.message) for one in load().errors] == [("manifests/large.yaml", "is larger than 1 MiB")]


def test_an_alias_bomb_and_a_cycle_end(manifests: Path) -> None:
    """A node is walked once, for any number of aliases."""
    lines = ["a: &a [x, x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 8)}]" for n in range(12)]
    (manifests / "bomb.yaml").write_text("\n".join([*lines, "z: &z [*z]"]))
    assert {one.file for one in load().errors} == {"manifests/bomb.yaml"}


def test_no_problem_repeats_a_token(manifests: Path) -> None:
    """The token is a value, a key, an event or a name in braces."""
    token = "made-up-opaque-value-1"
    (manifests / "bad.yaml").write_text(
        f"{token}: 1\ntoken: {token}\nenvironment: {token}\nwave: {token}\nwebhooks:\n  {token}: 1\n"
        f"  receiveMessage: https://{token}/{{{token}}}\n  messageStatus: http://{token}\n# {token}\n"
    )
    options = TreeOptions(
        base_url="https://www.plugchat.com.br",
        auth_scheme=AuthScheme.RAW,
        allowed_hosts=("www.plugchat.com.br",),
        known_tokens=(token,),
    )
    tree = load_tree("manifests", options)
    assert tree.errors
    assert token not in "\n".join(str(one) for one in (*tree.errors, *tree.warnings))


def test_the_json_schema_describes_every_key() -> None:
    """It is a closed 2020-12 schema with a description of each key. No event is required, as defaults may hold it."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    known = {"environment", "description", "wave", "token_env", "account_id", "api", "vars", "webhooks"}
    assert set(schema["properties"]) == known | {"organization_id"}
    assert schema["$defs"]["ApiPart"]["properties"]["body"]["enum"] == list(BodyForm)
    assert all(str(event) in json.dumps(schema) for event in EVENTS)


def test_an_environment_has_its_own_organization_and_form_of_body(manifests: Path) -> None:
    """The settings have a default for the form of the body, and none for the company."""
    (manifests / "other.yaml").write_text("organization_id: 64f0c2\napi: {body: flat}\n" + WEBHOOKS)
    options = TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",), BodyForm.VALUE)
    found = {one.environment: (one.organization_id, one.body) for one in load_tree("manifests", options).desired}
    assert found == {"other": ("64f0c2", BodyForm.FLAT), "production": (None, BodyForm.VALUE)}


def test_the_demos_sandbox_replaces_the_partner_address_too(manifests: Path) -> None:
    """A demo sends nothing beyond this machine."""
    options = TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, (), partner_base_url="https://api.plug.com.br")
    for override, address in ((None, "https://api.plug.com.br"), ("http://127.0.0.1:1", "http://127.0.0.1:1")):
        tree = load_tree("manifests", replace(options, base_url_override=override))
        assert [one.partner_base_url for one in tree.desired] == [address]


@pytest.mark.posix
def test_folders_nested_beyond_reason_are_an_error(manifests: Path) -> None:
    """A hundred levels are read; five hundred would overflow the stack."""
    (manifests / ("d/" * 100)).mkdir(parents=True)
    assert load().errors == ()
    (manifests / ("d/" * 101)).mkdir()
    (error,) = load().errors
    assert (error.file, error.message) == ("manifests" + "/d" * 101, "is nested too deeply")


def test_an_environment_is_right_where_none_of_its_files_has_an_error(manifests: Path) -> None:
    """The files are its manifest and the defaults that its URLs come from."""
    (manifests / "b.yaml").write_text("# token_env: eyJhbGciOiJub25lIn0.eyJzdWIiOjF9.c2ln\n" + WEBHOOKS)
    (manifests / "team").mkdir()
    (manifests / "team/_defaults.yaml").write_text("policy: {allowed_hosts: [a b]}\n" + WEBHOOKS)
    (manifests / "team/c.yaml").write_text("{}")
    tree = load()
    assert {one.file for one in tree.errors} == {"manifests/b.yaml", "manifests/team/_defaults.yaml"}
    assert tree.names == {"production", "b", "c"}
    assert tree.count_right() == 1
