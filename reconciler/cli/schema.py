from __future__ import annotations

from importlib import resources

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
    write(resources.files("reconciler.manifests").joinpath("manifest.schema.json").read_text(encoding="utf-8"))
