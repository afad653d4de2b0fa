"""Options that several commands of `portcall image` have, and the types of their values."""

from pathlib import Path

import click

from portcall.cli.options import Decorator, Function, file_path, setting
from portcall.errors import ConfigurationError
from portcall.image.defaults import BASE_DEFAULT, BASES_LOCK, LOCKS
from portcall.image.oci import SUPPORTED, parse_platform
from portcall.image.reference import parse_reference

OUTPUT_DEFAULT = Path("build") / "image"


def image_name(value: str) -> str:
    """Read the name of an image; return it whole. A type for `click.option`."""
    try:
        return str(parse_reference(value))
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


def platform(value: str) -> str:
    """Read a platform. A type for `click.option`."""
    try:
        return str(parse_platform(value.strip()))
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


def platforms(value: str) -> str:
    """Read platforms with a comma between. A type for `click.option`."""
    names = [platform(name) for name in value.split(",") if name.strip()]
    if not names:
        raise click.BadParameter(f"{value!r} names no platform")
    return ",".join(dict.fromkeys(names))


cache: Decorator = setting(
    "--cache",
    "Folder of what is kept between builds: base layers, wheels, layers. May be removed at any time.",
    metavar="DIR",
    type=file_path,
    variable="PORTCALL_IMAGE_CACHE",
    shown="the user's cache folder",
)

insecure_registry: Decorator = setting(
    "--insecure-registry",
    "Registry that need not speak HTTPS; may be said several times. Those on loopback never need to.",
    metavar="HOST",
    multiple=True,
    variable="PORTCALL_IMAGE_INSECURE_REGISTRY",
    shown="none",
)

output: Decorator = setting(
    "--output",
    "Folder of the image that is built, an OCI layout.",
    metavar="DIR",
    type=file_path,
    variable="PORTCALL_IMAGE_OUTPUT",
    shown=f"{OUTPUT_DEFAULT} in the project",
)

engine: Decorator = setting(
    "--engine",
    "Which engine: docker or podman.",
    type=click.Choice(["docker", "podman"]),
    metavar="NAME",
    variable="PORTCALL_IMAGE_ENGINE",
    shown="the one that is installed, docker first",
)

_OPTIONS: tuple[Decorator, ...] = (
    click.argument(
        "folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="[FOLDER]"
    ),
    setting(
        "--app",
        "What the containers serve; see 'portcall worker --help'.",
        metavar="APP[:OBJECT]",
        default="app:worker",
        variable="PORTCALL_IMAGE_APP",
    ),
    click.option("--hub", "kind", flag_value="hub", help="A hub, of the portcall in the lock."),
    click.option("--sidecar", "kind", flag_value="sidecar", help="A sidecar, of the portcall in the lock."),
    setting(
        "--base",
        "Image to build upon, with CPython 3.11 or newer: a name, NAME@sha256:..., or oci:DIR.",
        metavar="IMAGE",
        default=BASE_DEFAULT,
        variable="PORTCALL_IMAGE_BASE",
    ),
    click.option("--update-base", is_flag=True, help=f"Look the base's tag up anew, and fix that in {BASES_LOCK}."),
    setting(
        "--platform",
        "For which platforms, with a comma between.",
        metavar="LIST",
        type=platforms,
        default=",".join(map(str, SUPPORTED)),
        variable="PORTCALL_IMAGE_PLATFORM",
    ),
    setting(
        "--lock",
        "The lock: pylock.toml, uv.lock, or requirements with hashes.",
        metavar="FILE",
        type=file_path,
        variable="PORTCALL_IMAGE_LOCK",
        shown=f"the first there is of {', '.join(LOCKS)}",
    ),
    setting(
        "--python",
        "Interpreter of the base to use.",
        metavar="PATH",
        variable="PORTCALL_IMAGE_PYTHON",
        shown="the first python3 on the base's PATH",
    ),
    cache,
    insecure_registry,
)


def project_options(command: Function) -> Function:
    """Add the options that say what to build; `request_of` in `doing` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
