"""What `portcall image compose` does."""

from pathlib import Path

import click

from portcall.cli.image.doing.reach import hosts_of, store_of
from portcall.cli.image.doing.reporting import progress_of_command
from portcall.image.composing import ComposePlan, ComposeService, compose
from portcall.image.progress import Progress
from portcall.image.reference import parse_reference
from portcall.image.sources import RegistrySource
from portcall.image.store import Store


def perform(
    *,
    images: tuple[str, ...],
    hub_image: str,
    workers: int,
    listen: str,
    memory: str,
    cpus: str,
    no_pin: bool,
    cache: Path | None,
    insecure_registry: tuple[str, ...] | None,
) -> None:
    """Print a compose file."""
    store, insecure = store_of(cache), hosts_of(insecure_registry)
    taken: set[str] = {"hub"}
    with progress_of_command() as progress:
        services = [
            _service(image, taken, replicas, None if no_pin else (store, progress, insecure))
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
