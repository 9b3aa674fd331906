from __future__ import annotations

from pathlib import Path

import click

import reconciler.manifests
from reconciler.cli.output import write

STORED = Path(reconciler.manifests.__file__).with_name("manifest.schema.json")


@click.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of a manifest, for editors.

    \b
    Example:
      reconciler schema > manifest.schema.json
      # first line of a manifest, for the YAML language server:
      # yaml-language-server: $schema=../manifest.schema.json
    """
    write(STORED.read_text(encoding="utf-8"))
