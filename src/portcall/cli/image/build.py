"""`portcall image build`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from portcall.cli.image.project import project_options, request_of
from portcall.cli.image.reporting import amount, progress_of_command
from portcall.cli.image.settings import OUTPUT_DEFAULT, engine
from portcall.cli.options import as_json, file_path, setting
from portcall.image.building import Built, build
from portcall.image.engines import find_engine, load
from portcall.image.layout import write_layout
from portcall.image.reference import parse_reference
from portcall.image.sources import LayoutSource, read_whole
from portcall.image.store import Store


def _tags(_: click.Context, __: click.Parameter, value: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(str(parse_reference(name)) for name in value or ())


@click.command(
    epilog="""\b
Examples:
  portcall image build                                       the project in this folder
  portcall image build --app greet.app:worker --tag registry.example.com/greeter:1
  portcall image build --platform linux/amd64 --load         into the Docker of this machine
  portcall image build --hub --tag registry.example.com/hub:1
  portcall image build --base oci:../base                    a base on the disk

The project needs a lock with hashes, and portcall in it. Same inputs, same digest: on any machine, at any time. A base
that is named by a tag is fixed in portcall-image.lock when it is first used."""
)
@project_options
@setting(
    "--tag",
    "Name of the image, with its registry; may be given several times.",
    metavar="NAME",
    multiple=True,
    variable="PORTCALL_IMAGE_TAG",
    shown="none",
    callback=_tags,
)
@setting(
    "--output",
    "Folder for the image, an OCI layout.",
    metavar="DIR",
    type=file_path,
    default=None,
    variable="PORTCALL_IMAGE_OUTPUT",
    shown=f"{OUTPUT_DEFAULT} in the project",
)
@click.option("--load", "is_loading", is_flag=True, help="Put it into the Docker or podman of this machine as well.")
@engine
@as_json
def command(
    *,
    tag: tuple[str, ...],
    output: Path | None,
    is_loading: bool,
    engine: str | None,
    cache: Store,
    is_json: bool,
    **options: Any,
) -> None:
    """Turn a project into an image, without a Docker daemon.

    FOLDER is the project: pyproject.toml if it has one, its lock, its code and its .proto files. The image has a layer
    of the locked packages and one of the application. It runs as nobody in particular, and its first process is the
    worker.
    """
    if is_loading and not tag:
        raise click.UsageError("--load needs a --tag: the engine wants a name for it", click.get_current_context())
    place = output or options["folder"] / OUTPUT_DEFAULT
    request = replace(request_of(options), output=place)
    with progress_of_command() as progress:
        built = build(request, cache, progress)
        write_layout(place, built.index, built.blobs, cache, tag)
        for left_out in built.left_out:
            progress.step(f"Left out: {left_out.path} ({left_out.reason})")
    _say(built, place, tag, is_json=is_json)
    if is_loading:
        _load(place, tag, engine or "", cache)


def _say(built: Built, place: Path, tags: tuple[str, ...], *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps(_as_json(built, place, tags), indent=2))
        return
    for part in built.parts:
        size = amount(sum(layer.size for layer in part.layers))
        click.echo(f"{part.platform}: {len(part.wheels)} packages, {size}, {part.build[:18]}")
    click.echo(f"Built {built.index.digest} in {place}")
    if tags:
        click.echo(f"Push it:  portcall image push --from {place}")


def _as_json(built: Built, place: Path, tags: tuple[str, ...]) -> dict[str, Any]:
    identity = built.identity
    return {
        "digest": built.index.digest,
        "layout": str(place),
        "tags": tags,
        "base": {"name": identity.base_name, "digest": identity.base_digest},
        "contract": identity.contract or None,
        "lock": identity.lock_digest,
        "revision": identity.revision.commit if identity.revision else None,
        "dirty": identity.revision.is_dirty if identity.revision else None,
        "platforms": [
            {
                "platform": str(part.platform),
                "digest": part.manifest.digest,
                "build": part.build,
                "bytes": sum(layer.size for layer in part.layers),
                "packages": {wheel.name: wheel.version for wheel in part.wheels},
            }
            for part in built.parts
        ],
        "left_out": [{"path": left_out.path, "reason": left_out.reason} for left_out in built.left_out],
    }


def _load(place: Path, tags: tuple[str, ...], engine: str, store: Store) -> None:
    chosen = find_engine(engine)
    source = LayoutSource(place, tags[0], store)
    whole = read_whole(source)
    for tag in tags:
        loaded = load(whole, source, tag, chosen)
        click.echo(f"Loaded {loaded.name} ({loaded.platform}) into {loaded.engine}", err=True)
