"""The options that say what to build, for the commands of `portcall image` that start from a project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from portcall.cli.image.settings import cache, insecure_registry
from portcall.cli.options import Decorator, Function, file_path, setting
from portcall.image.building import BASE_DEFAULT, BASES_LOCK, BuildRequest
from portcall.image.configuration import Kind
from portcall.image.locks import LOCKS
from portcall.image.oci import SUPPORTED, Platform, parse_platform


def _platforms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[Platform, ...]:
    names = [name.strip() for name in (value or "").split(",") if name.strip()]
    return tuple(dict.fromkeys(parse_platform(name) for name in names)) or SUPPORTED


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
    click.option("--hub", "kind", flag_value=Kind.HUB.value, help="A hub, of the portcall in the lock."),
    click.option("--sidecar", "kind", flag_value=Kind.SIDECAR.value, help="A sidecar, of the portcall in the lock."),
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
        default=",".join(map(str, SUPPORTED)),
        variable="PORTCALL_IMAGE_PLATFORM",
        callback=_platforms,
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
    """Add the options; `request_of` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_of(options: Mapping[str, Any]) -> BuildRequest:
    """Return what the options ask for."""
    return BuildRequest(
        folder=options["folder"],
        kind=Kind(options["kind"] or Kind.WORKER.value),
        platforms=options["platform"],
        app=options["app"],
        base=options["base"],
        lock=options["lock"],
        python=options["python"] or "",
        is_updating_base=options["update_base"],
        insecure=options["insecure_registry"],
    )
