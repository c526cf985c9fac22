"""``nbops package``: a proven bundle."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import tables
from nbops.errors import PromotionError
from nbops.project import Project
from nbops.promotion.bundle import Bundle, package
from nbops.tracking.store import Store
from nbops.tracking.store.registry import ModelVersion


@click.command(name="package")
@click.argument("project", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--model", help="NAME, NAME@ALIAS or NAME/VERSION (default: the project's model, alias champion).")
@click.option("--force", is_flag=True, help="Write the bundle anew even if it's there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(project: Path | None, model: str | None, force: bool, as_json: bool) -> None:
    """Write the bundle of a promoted model: wheel, lock, Dockerfile, OpenAPI, model card and proof.

    The bundle's wheel is installed in a clean environment and must predict what the notebook predicted on the
    recorded examples; otherwise there is no bundle.

    \b
    Examples:
      nbops package
      nbops package notebooks/flights
      nbops package --model flights-late@challenger
    """
    found = Project.find(project)
    store = Store(found, say=_say)
    bundle = package(store, _version(store, model), force=force, say=_say)
    if as_json:
        tables.print_json({"path": str(bundle.path), "name": bundle.name, "version": bundle.version})
    else:
        _describe(bundle)


def _version(store: Store, model: str | None) -> ModelVersion:
    name, slash, number = (model or store.project.model_name).partition("/")
    if slash:
        return store.registry.version(name, number)
    name, _, alias = name.partition("@")
    version = store.registry.by_alias(name, alias or "champion")
    if version is None:
        raise PromotionError(
            f"no version of '{name}' holds the alias '{alias or 'champion'}'", remedy="nbops promote comes first"
        )
    return version


def _describe(bundle: Bundle) -> None:
    proof = bundle.read("proof.json")
    table = tables.plain_table("proof", "asked", ">rows", ">equal to the bit", ">largest difference")
    for check in proof["checks"]:
        table.add_row(check["name"], str(check["rows"]), str(check["equal_bits"]), f"{check['worst']:.3g}")
    tables.print_table(table)
    size = bundle.wheel.stat().st_size
    click.echo(f"{bundle.name} {bundle.version} → {_shown(bundle.path)} ({bundle.wheel.name}, {size / 1e6:.1f} MB)")
    click.echo(f"next: nbops serve {_shown(bundle.path)}")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _say(text: str) -> None:
    click.secho(f"… {text}", err=True, dim=True)
