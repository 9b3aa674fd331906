"""The JSON Schema of a manifest, which is stored in the package, against the models that check a manifest.

After a change that is meant: `pytest tests/golden --update-golden`, then read the diff.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.cli.schema import STORED
from reconciler.manifests.schema import Manifest


def make_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest, for editors."""
    schema = Manifest.model_json_schema()
    tidy(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Reconciler manifest",
        "description": "The desired webhook URLs of one Plug Chat company.",
    }


def tidy(schema: Any) -> None:
    """Take out what only pydantic means: titles made of names, defaults that stand for "not given"."""
    if isinstance(schema, list):
        for item in schema:
            tidy(item)
    if not isinstance(schema, dict):
        return
    if schema.get("default", 0) is None:
        del schema["default"]
    if isinstance(schema.get("title"), str):
        del schema["title"]
    for item in schema.values():
        tidy(item)


def test_the_stored_schema_is_that_of_the_models(request: pytest.FixtureRequest) -> None:
    """It is stored, so that `reconciler schema` does not wait for pydantic."""
    made = json.dumps(make_schema(), indent=2) + "\n"
    if request.config.getoption("--update-golden"):
        STORED.write_text(made, encoding="utf-8")
    assert STORED.read_text(encoding="utf-8") == made
