"""What `portcall image build` does."""

import json
from pathlib import Path
from typing import Any

import click

from portcall.cli.image.doing.reach import store_of
from portcall.cli.image.doing.reporting import amount, progress_of_command
from portcall.cli.image.doing.request import request_of
from portcall.cli.image.settings import OUTPUT_DEFAULT
from portcall.image.building import Built, build
from portcall.image.engines import find_engine, load
from portcall.image.layout import write_layout
from portcall.image.sources import LayoutSource, read_whole
from portcall.image.store import Store


def perform(
    *,
    tag: tuple[str, ...],
    output: Path | None,
    is_loading: bool,
    engine: str | None,
    cache: Path | None,
    is_json: bool,
    **options: Any,
) -> None:
    """Build an image into a layout; load it into an engine if that is asked for."""
    tags, store = tag or (), store_of(cache)
    place = output or options["folder"] / OUTPUT_DEFAULT
    request = request_of(options, output=place)
    with progress_of_command() as progress:
        built = build(request, store, progress)
        write_layout(place, built.index, built.blobs, store, tags)
        for left_out in built.left_out:
            progress.step(f"Left out: {left_out.path} ({left_out.reason})")
    _say(built, place, tags, is_json=is_json)
    if is_loading:
        _load(place, tags, engine or "", store)


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
