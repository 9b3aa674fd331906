from __future__ import annotations

import click

from reconciler.cli.output import write
from reconciler.manifests import STORED_SCHEMA


@click.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of a manifest, for editors.

    \b
    Example:
      reconciler schema > manifest.schema.json
      # first line of a manifest, for the YAML language server:
      # yaml-language-server: $schema=../manifest.schema.json
    """
    write(STORED_SCHEMA.read_text(encoding="utf-8"))
