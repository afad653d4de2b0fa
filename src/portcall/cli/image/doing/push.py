"""What `portcall image push` does."""

import json
from pathlib import Path

import click

from portcall.cli.image.doing.reach import hosts_of, store_of
from portcall.cli.image.doing.reporting import amount, progress_of_command
from portcall.cli.image.settings import OUTPUT_DEFAULT
from portcall.errors import ConfigurationError
from portcall.image.layout import read_index
from portcall.image.oci import REF_NAME
from portcall.image.pushing import Pushed, push
from portcall.image.reference import parse_reference
from portcall.image.registry.transfer import total_size
from portcall.image.sources import LayoutSource, read_whole


def perform(
    *,
    names: tuple[str, ...],
    folder: Path | None,
    output: Path | None,
    cache: Path | None,
    insecure_registry: tuple[str, ...] | None,
    is_json: bool,
) -> None:
    """Push the image of a layout."""
    place, store, insecure = folder or output or OUTPUT_DEFAULT, store_of(cache), hosts_of(insecure_registry)
    targets = [parse_reference(name) for name in names or _names(place)]
    source = LayoutSource(place, "", store)
    image = read_whole(source)
    with progress_of_command() as progress:
        pushed = [push(image, source, target, store, progress, insecure) for target in targets]
    if is_json:
        click.echo(json.dumps([_as_json(one) for one in pushed], indent=2))
        return
    for one in pushed:
        sent = f"{len(one.sent)} blobs of {amount(total_size(one.sent))} sent" if one.sent else "nothing to send"
        click.echo(f"Pushed {one.name} ({sent}, {len(one.there)} were there)")


def _names(folder: Path) -> list[str]:
    names = [image.annotations[REF_NAME] for image in read_index(folder) if REF_NAME in image.annotations]
    if not names:
        raise ConfigurationError(
            f"the image in {folder} has no name. Say where to push it:  portcall image push HOST/NAME:TAG"
        )
    return names


def _as_json(pushed: Pushed) -> dict[str, object]:
    return {
        "name": pushed.name,
        "digest": pushed.digest,
        "sent": [blob.digest for blob in pushed.sent],
        "sent_bytes": total_size(pushed.sent),
        "there": [blob.digest for blob in pushed.there],
    }
