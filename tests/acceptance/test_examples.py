"""Every kind of manifest tree that is refused or accepted, in one folder each: `examples/{refused,accepted}/<case>/`.

A case holds `manifests/`, optionally `options.yaml` (what the settings would say), and, if it is refused,
`expected.yaml`: every problem in order, with its location and a part of its text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.main import run
from reconciler.cli.session import Session
from reconciler.core.policy import Policy
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.model import EVENTS, AuthScheme

EXAMPLES = Path(__file__).parent / "examples"


def cases(kind: str) -> list[Any]:
    return [pytest.param(folder, id=folder.name) for folder in sorted((EXAMPLES / kind).iterdir())]


def load_case(folder: Path) -> Tree:
    written = folder / "options.yaml"
    options = yaml.safe_load(written.read_text()) if written.exists() else {}
    return load_tree(
        "manifests",
        TreeOptions(
            base_url=options.get("base_url", "https://www.plugchat.com.br"),
            auth_scheme=AuthScheme.RAW,
            allowed_hosts=("www.plugchat.com.br", "app.plugchat.com.br", "api.plugchat.com.br"),
            policy=Policy(denied=tuple(options.get("denied", ()))),
            allow_local_receivers=options.get("allow_local_receivers", False),
            known_tokens=tuple(options.get("known_tokens", ())),
            tokens_file_environments=frozenset(options.get("tokens_file_environments", ())),
        ),
    )


@pytest.mark.parametrize("folder", cases("refused"))
def test_a_refused_tree_has_exactly_these_problems(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No problem is missing or added, and each has its location."""
    monkeypatch.chdir(folder)
    errors = load_case(folder).errors
    expected = yaml.safe_load((folder / "expected.yaml").read_text())
    places = [(one["file"], one["line"], one["column"], one["key"]) for one in expected]
    assert [(one.file, one.line, one.column, one.key) for one in errors] == places
    for problem, one in zip(errors, expected, strict=True):
        assert one["contains"] in f"{problem.message} ({problem.hint})"


@pytest.mark.parametrize(
    "folder", [case for case in cases("refused") if not (case.values[0] / "options.yaml").exists()]
)
def test_validate_reports_a_refused_trees_problems_as_json(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3, `ok` is false, and each problem has its location and hint."""
    monkeypatch.chdir(folder)
    code = run(["validate", "--format", "json"], obj=Session(environ={}, folder=folder))
    result = json.loads(capsys.readouterr().out)
    expected = yaml.safe_load((folder / "expected.yaml").read_text())
    places = [(one["file"], one["line"], one["column"], one["key"]) for one in expected]
    assert (code, result["format"], result["ok"]) == (3, "reconciler.validation/1", False)
    assert [(one["file"], one["line"], one["column"], one["key"]) for one in result["errors"]] == places


@pytest.mark.parametrize("folder", cases("accepted"))
def test_an_accepted_tree_gives_every_environment_all_seven(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no problem, and each environment has every event."""
    monkeypatch.chdir(folder)
    tree = load_case(folder)
    assert tree.errors == ()
    assert {one.environment for one in tree.desired} == tree.names != frozenset()
    assert all(set(one.webhooks) == set(EVENTS) for one in tree.desired)
