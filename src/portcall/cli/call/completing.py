"""What a shell offers for SERVICE/METHOD: asked of the hub, in little time, and without a word when it fails."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from portcall.cli.call.directory import Directory, catalog_of_files
from portcall.cli.connection import open_channel, token_metadata
from portcall.cli.options import hub_access_of
from portcall.contract.reflection import ReflectionClient
from portcall.errors import ConfigurationError

ANSWER_S: Final = 1.0
"""How long a person is kept waiting at most."""

SERVICES_MAX: Final = 50
"""Of more services than this the names alone are offered, until what is typed leaves fewer."""


def complete_name(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the methods that begin so; for --list the services, for --describe all that there is."""
    names: list[str] = []
    with suppress(Exception):  # a hub that is away, a wrong option: nothing that a half typed line should speak of
        asyncio.run(_gather(ctx.params, incomplete, names))
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]


async def _gather(params: Mapping[str, Any], incomplete: str, names: list[str]) -> None:
    """Put names into the list, as many as come in time."""
    access = hub_access_of(params)
    protosets = params.get("protosets") or ()
    async with open_channel(access) as channel:
        reflection = ReflectionClient(channel, answer_s=ANSWER_S, metadata=token_metadata(access))
        directory = Directory(access, None if protosets else reflection, catalog_of_files(protosets))
        async with asyncio.timeout(ANSWER_S):
            async for name in _names(directory, params, incomplete):
                names.append(name)  # noqa: PERF401  # an `extend` would lose what came before the time was up


async def _names(directory: Directory, params: Mapping[str, Any], incomplete: str) -> AsyncIterator[str]:
    names = await directory.service_names()
    services = [name for name in names if name.startswith(incomplete.partition("/")[0])]
    if params.get("is_list") or len(services) > SERVICES_MAX:
        for name in names:
            yield name
        return
    for name in services:
        with suppress(ConfigurationError):  # it has no descriptors; others may
            for method in (await directory.service(name)).methods:
                yield f"{name}/{method.name}"
    if params.get("is_describe"):
        for name in await directory.known_names():
            yield name
