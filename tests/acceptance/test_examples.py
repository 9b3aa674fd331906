"""Every refusal of CONTRACT §2 and §9 as a folder, through `validate`: the whole set of problems, each at its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.main import run
from reconciler.cli.session import Session

EXAMPLES = Path(__file__).parent / "examples"


def cases(kind: str) -> list[Any]:
    return [pytest.param(path, id=path.name) for path in sorted((EXAMPLES / kind).iterdir())]


def validate(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, Any]:
    monkeypatch.chdir(folder)
    code = run(["validate", "--format", "json"], obj=Session(environ={}, folder=folder))
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("case", cases("refused"))
def test_each_refused_tree_is_refused_with_all_its_problems(
    case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3; file, line, column, key and message of each; no more, no fewer."""
    code, result = validate(case, capsys, monkeypatch)
    found = [
        {key: problem[key] for key in ("file", "line", "column", "key", "message")} for problem in result["errors"]
    ]
    assert found == yaml.safe_load((case / "expected.yaml").read_text())
    assert (code, result["ok"]) == (3, False)
    assert all(problem["hint"] for problem in result["errors"])


@pytest.mark.parametrize("case", cases("accepted"))
def test_each_accepted_tree_is_what_it_says(
    case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0, and the URL byte for byte the one written, after filling in."""
    code, result = validate(case, capsys, monkeypatch)
    assert (code, result["ok"], result["errors"]) == (0, True, [])
    desired = {
        one.environment: {
            "wave": one.wave,
            "receiveMessage": one.webhooks["receiveMessage"],  # type: ignore[index]
            "endpoint": one.endpoint,
            "token_env": one.token_env,
        }
        for one in Session(environ={}, folder=case).desired
    }
    assert desired == yaml.safe_load((case / "expected.yaml").read_text())
