"""Options that several commands of `portcall image` have."""

from pathlib import Path

import click

from portcall.cli.options import Decorator, file_path, setting
from portcall.image.store import CACHE_VARIABLE, Store, default_folder

OUTPUT_DEFAULT = Path("build") / "image"


def _store(_: click.Context, __: click.Parameter, value: Path | None) -> Store:
    return Store(value or default_folder())


cache: Decorator = setting(
    "--cache",
    "Folder of what is kept between builds: base layers, wheels, layers. May be removed at any time.",
    metavar="DIR",
    type=file_path,
    variable=CACHE_VARIABLE,
    shown="the user's cache folder",
    callback=_store,
)
"""`--cache`: the command gets it as `cache`, a Store."""

insecure_registry: Decorator = setting(
    "--insecure-registry",
    "Registry that need not speak HTTPS; may be said several times. Those on loopback never need to.",
    metavar="HOST",
    multiple=True,
    variable="PORTCALL_IMAGE_INSECURE_REGISTRY",
    shown="none",
    callback=lambda _, __, value: frozenset(value or ()),
)
"""`--insecure-registry`: the command gets it as `insecure_registry`, a frozenset."""

engine: Decorator = setting(
    "--engine",
    "Which engine: docker or podman.",
    type=click.Choice(["docker", "podman"]),
    metavar="NAME",
    variable="PORTCALL_IMAGE_ENGINE",
    shown="the one that is installed, docker first",
)
