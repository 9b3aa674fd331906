"""The manifest tree: YAML with positions in, `Desired` environments or problems out (docs/manifests.md)."""

from pathlib import Path

# of a manifest, made from the models in `schema.py`: stored, so that `reconciler schema` does not wait for pydantic
STORED_SCHEMA = Path(__file__).with_name("manifest.schema.json")
