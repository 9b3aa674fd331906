"""The JSON Schema of a manifest, which is stored in the package, against the models that check a manifest.

After a change that is meant: `pytest tests/golden --update-golden`, then read the diff.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.manifests import STORED_SCHEMA
from reconciler.manifests.schema import Manifest, tidy


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


def test_the_stored_schema_is_that_of_the_models(request: pytest.FixtureRequest) -> None:
    """It is stored, so that `reconciler schema` does not wait for pydantic."""
    made = json.dumps(make_schema(), indent=2) + "\n"
    if request.config.getoption("--update-golden"):
        STORED_SCHEMA.write_text(made, encoding="utf-8")
    assert STORED_SCHEMA.read_text(encoding="utf-8") == made
