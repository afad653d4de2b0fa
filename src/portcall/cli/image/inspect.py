"""`portcall image inspect`."""

import json

import click

from portcall.cli.image.reporting import amount, progress_of_command
from portcall.cli.image.settings import OUTPUT_DEFAULT, cache, insecure_registry
from portcall.cli.options import as_json
from portcall.cli.output import console, table
from portcall.errors import ConfigurationError
from portcall.image.inspecting import FACTS, Inside, inside
from portcall.image.oci import parse_platform
from portcall.image.sbom import sbom
from portcall.image.sources import open_source, read_whole
from portcall.image.store import Store


@click.command(
    epilog="""\b
Examples:
  portcall image inspect                                        what was built last
  portcall image inspect registry.example.com/greeter:1
  portcall image inspect oci:build/image --json | jq '.[0].packages[].name'
  portcall image inspect --sbom --platform linux/amd64 > sbom.json    CycloneDX 1.6"""
)
@click.argument("image", default=str(OUTPUT_DEFAULT), metavar="[IMAGE]")
@click.option("--platform", metavar="NAME", help="This platform alone, as in linux/amd64. [default: all that it has]")
@click.option("--sbom", "is_sbom", is_flag=True, help="Print the bill of materials, CycloneDX 1.6; for one platform.")
@cache
@insecure_registry
@as_json
def command(
    *,
    image: str,
    platform: str | None,
    is_sbom: bool,
    cache: Store,
    insecure_registry: frozenset[str],
    is_json: bool,
) -> None:
    """Tell what is inside of an image: environment, contract, revision, packages.

    IMAGE is a name with its registry, oci:DIR, or the folder of a layout. Its layers are not fetched.
    """
    wanted = (parse_platform(platform),) if platform else None
    with progress_of_command() as progress:
        source = open_source(image, cache, progress, insecure_registry)
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
