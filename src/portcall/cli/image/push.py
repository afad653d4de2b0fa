"""`portcall image push`."""

import json
from pathlib import Path

import click

from portcall.cli.image.reporting import amount, progress_of_command
from portcall.cli.image.settings import OUTPUT_DEFAULT, cache, insecure_registry
from portcall.cli.options import as_json, file_path, setting
from portcall.errors import ConfigurationError
from portcall.image.layout import read_index
from portcall.image.oci import REF_NAME
from portcall.image.pushing import Pushed, push
from portcall.image.reference import parse_reference
from portcall.image.registry.transfer import total_size
from portcall.image.sources import LayoutSource, read_whole
from portcall.image.store import Store


@click.command(
    epilog="""\b
Examples:
  portcall image push                                    the names that it was built with
  portcall image push registry.example.com/greeter:2     another name
  docker login registry.example.com                      where the registry wants to know you

Layers that the registry has are not sent again. The tag is written last, so that it never names half an image; a push
that was cut off goes on where it was. Credentials are those of Docker's configuration and of the helpers it names."""
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@setting(
    "--from",
    "Folder of the image, as 'portcall image build' made it.",
    metavar="DIR",
    type=file_path,
    default=OUTPUT_DEFAULT,
    variable="PORTCALL_IMAGE_OUTPUT",
)
@cache
@insecure_registry
@as_json
def command(
    *, names: tuple[str, ...], cache: Store, insecure_registry: frozenset[str], is_json: bool, **rest: Path
) -> None:
    """Push an image that was built to a registry."""
    folder = rest["from"]
    targets = [parse_reference(name) for name in names or _names(folder)]
    source = LayoutSource(folder, "", cache)
    image = read_whole(source)
    with progress_of_command() as progress:
        pushed = [push(image, source, target, cache, progress, insecure_registry) for target in targets]
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
