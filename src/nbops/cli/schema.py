"""``nbops schema``: the JSON schema of pipeline.yaml."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> None:
    """Print the JSON schema of pipeline.yaml, by which editors complete it.

    A project has a copy in .nbops, which the first line of its pipeline names:
    # yaml-language-server: $schema=.nbops/pipeline.schema.json

    \b
    Examples:
      nbops schema > pipeline.schema.json
    """
    from nbops.pipeline.schema import schema_text

    click.echo(schema_text(), nl=False)
