"""What a shell offers for SERVICE/METHOD: asked of the hub, in little time, and without a word when it fails."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from portcall.cli.call.directory import Directory, catalog_of_files
from portcall.cli.connection import open_channel
from portcall.contract.reflection import ReflectionClient
from portcall.wire.target import hub_target

ANSWER_S: Final = 1.0
"""How long a person is kept waiting at most."""

SERVICES_MAX: Final = 50
"""Of more services than this the names alone are offered, until what is typed leaves fewer."""


def complete_name(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the methods (or, for --list, the services) that begin so."""
    with suppress(Exception):
        return [CompletionItem(name) for name in asyncio.run(_names(ctx, incomplete)) if name.startswith(incomplete)]
    return []


async def _names(ctx: click.Context, incomplete: str) -> Iterable[str]:
    target = hub_target(ctx.params.get("hub"))
    sets: list[Path] = list(ctx.params.get("protosets") or ())
    names: list[str] = []
    async with open_channel(target) as channel, ReflectionClient(channel, answer_s=ANSWER_S) as reflection:
        directory = Directory(target, None if sets else reflection, catalog_of_files(sets))
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                names += await directory.service_names()
                typed = incomplete.partition("/")[0]
                services = [name for name in names if name.startswith(typed)]
                if ctx.params.get("is_list") or len(services) > SERVICES_MAX:
                    return names
                names = []
                for service in services:
                    found = await directory.service(service)
                    names += [f"{service}/{method.name}" for method in found.methods]
    return names
