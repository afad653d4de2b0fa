"""What `portcall image inspect` does."""

import json
from pathlib import Path

import click

from portcall.cli.image.doing.reach import hosts_of, store_of
from portcall.cli.image.doing.reporting import amount, progress_of_command
from portcall.cli.image.settings import OUTPUT_DEFAULT
from portcall.cli.output import console, table
from portcall.errors import ConfigurationError
from portcall.image.inspecting import FACTS, Inside, inside
from portcall.image.oci import parse_platform
from portcall.image.sbom import sbom
from portcall.image.sources import open_source, read_whole


def perform(
    *,
    image: str,
    only: str | None,
    is_sbom: bool,
    output: Path | None,
    cache: Path | None,
    insecure_registry: tuple[str, ...] | None,
    is_json: bool,
) -> None:
    """Print what is inside of an image."""
    wanted = (parse_platform(only),) if only else None
    name = image or f"oci:{output or OUTPUT_DEFAULT}"
    with progress_of_command() as progress:
        source = open_source(name, store_of(cache), progress, hosts_of(insecure_registry))
        whole = read_whole(source, wanted)
        source.close()
    found = inside(whole)
    if is_sbom:
        click.echo(json.dumps(sbom(_with_packages(found)), indent=2))
    elif is_json:
        click.echo(json.dumps([{"index": whole.descriptor.digest, **one.as_json()} for one in found], indent=2))
    else:
        for at, one in enumerate(found):
            click.echo(f"{chr(10) if at else ''}{whole.name} for {one.platform}")
            _print(one)


def _with_packages(found: list[Inside]) -> Inside:
    if not found or not found[0].is_ours:
        raise ConfigurationError("the image was not built by 'portcall image build', so its packages are not known")
    return found[0]


def _print(one: Inside) -> None:
    screen = console()
    facts = table("FACT", "VALUE")
    shown = {
        "digest": one.digest,
        "created": one.created,
        "size": amount(one.size),
        "command": " ".join(one.command),
        "user": one.user,
        **{name: one.facts[name] for name in FACTS if name in one.facts},
    }
    for name, value in shown.items():
        facts.add_row(name, value)
    screen.print(facts)
    if not one.packages:
        return
    packages = table("PACKAGE", "VERSION", "LICENSE")
    for package in one.packages:
        packages.add_row(package.name, package.version, package.licence or "-")
    screen.print(packages)
