"""The manifest tree: YAML with positions goes in, `Desired` environments or problems come out (docs/manifests.md)."""

from pathlib import Path

# The JSON Schema of a manifest, made from the models in `schema.py`. It is stored as a file, so that
# `reconciler schema` does not wait for pydantic.
STORED_SCHEMA = Path(__file__).with_name("manifest.schema.json")
