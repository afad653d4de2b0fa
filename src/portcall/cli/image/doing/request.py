"""From options to what they ask for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portcall.cli.image.doing.reach import hosts_of
from portcall.image.building import BuildRequest
from portcall.image.configuration import Kind
from portcall.image.oci import parse_platform


def request_of(options: Mapping[str, Any], *, output: Path | None = None) -> BuildRequest:
    """Return what the options ask to build."""
    return BuildRequest(
        folder=options["folder"],
        kind=Kind(options["kind"] or Kind.WORKER.value),
        platforms=tuple(parse_platform(name) for name in options["platform"].split(",")),
        app=options["app"],
        base=options["base"],
        lock=options["lock"],
        python=options["python"] or "",
        is_updating_base=options["update_base"],
        insecure=hosts_of(options["insecure_registry"]),
        output=output,
    )
