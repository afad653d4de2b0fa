"""`portcall image compose`."""

import click

from portcall.cli.image.reporting import progress_of_command
from portcall.cli.image.settings import cache, insecure_registry
from portcall.cli.options import count, setting
from portcall.image.composing import HUB_ADDRESS, ComposePlan, ComposeService, compose
from portcall.image.progress import Progress
from portcall.image.reference import parse_reference
from portcall.image.sources import RegistrySource
from portcall.image.store import Store


@click.command(
    epilog="""\b
Examples:
  portcall image compose registry.example.com/greeter:1 --hub-image registry.example.com/hub:1 > compose.yaml
  PORTCALL_TOKEN=... docker compose up -d"""
)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@setting(
    "--hub-image",
    "Image of the hub, as 'portcall image build --hub' makes it.",
    metavar="IMAGE",
    variable="PORTCALL_IMAGE_HUB",
    shown="none",
)
@setting("--workers", "How many of each image.", type=count, metavar="N", default=1, variable="PORTCALL_IMAGE_WORKERS")
@setting(
    "--listen", "Where the hub listens.", metavar="HOST:PORT", default=HUB_ADDRESS, variable="PORTCALL_IMAGE_LISTEN"
)
@setting("--memory", "Most memory of a container.", metavar="SIZE", default="1g", variable="PORTCALL_IMAGE_MEMORY")
@setting("--cpus", "Most processors of a container.", metavar="N", default="1.0", variable="PORTCALL_IMAGE_CPUS")
@click.option("--no-pin", is_flag=True, help="Name the images as they are said, without asking for their digests.")
@cache
@insecure_registry
def command(
    *,
    images: tuple[str, ...],
    hub_image: str | None,
    workers: int,
    listen: str,
    memory: str,
    cpus: str,
    no_pin: bool,
    cache: Store,
    insecure_registry: frozenset[str],
) -> None:
    """Write a compose file for one machine: a hub, and workers of the images.

    The images are named by their digests, so that the file means the same for ever, and 'portcall fleet ls' shows them.
    """
    if hub_image is None:
        raise click.UsageError("which hub? Say --hub-image NAME; 'portcall image build --hub' makes one")
    taken: set[str] = {"hub"}
    with progress_of_command() as progress:
        services = [
            _service(image, taken, replicas, None if no_pin else (cache, progress, insecure_registry))
            for image, replicas in [(hub_image, 1), *((image, workers) for image in images)]
        ]
    plan = ComposePlan(hub=services[0], workers=services[1:], address=listen, memory=memory, cpus=cpus)
    click.echo(compose(plan), nl=False)


def _service(
    image: str, taken: set[str], replicas: int, asking: tuple[Store, Progress, frozenset[str]] | None
) -> ComposeService:
    reference = parse_reference(image)
    digest = reference.digest or ""
    if asking is not None and not digest:
        source = RegistrySource(image, *asking)
        digest = source.image()[0].digest
        source.close()
    stem = reference.repository.rpartition("/")[2]
    name = next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, 1_000))) if name not in taken)
    taken.add(name)
    return ComposeService(
        name=name,
        image=f"{reference.name}:{reference.tag}" if reference.tag and not digest else reference.name,
        digest=digest,
        replicas=replicas,
    )
