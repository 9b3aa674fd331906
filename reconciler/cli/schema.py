from __future__ import annotations

import json

import click

from reconciler.cli.output import write


@click.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of a manifest, for editors.

    \b
    Example:
      reconciler schema > manifest.schema.json
      # first line of a manifest, for the YAML language server:
      # yaml-language-server: $schema=../manifest.schema.json
    """
    from reconciler.manifests.schema import json_schema

    write(json.dumps(json_schema(), indent=2))
