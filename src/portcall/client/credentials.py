"""Call credentials: the metadata that a grpcio `CallCredentials` adds to a call.

grpcio's core evaluates them in C on a channel of its own. On a link they are evaluated here: a plugin is called with
the service's URL and the method's name, and says the metadata through a callback, from any thread.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc

Entries = tuple[tuple[str, str | bytes], ...]


class CredentialsError(grpc.RpcError):
    """A credentials plugin has failed. `str()` says how; it never holds what the plugin would have said."""


async def credentials_metadata(credentials: Any, target: str, method: str) -> Entries:
    """Return what these call credentials add to a call of this method.

    Raises:
        CredentialsError: the plugin failed, or the credentials are of a kind that has none.
    """
    inner = getattr(credentials, "_credentials", credentials)
    parts: Sequence[Any] | None = getattr(inner, "_call_credentialses", None)
    if parts is not None:
        found = [await credentials_metadata(part, target, method) for part in parts]
        return tuple(entry for entries in found for entry in entries)
    plugin = getattr(inner, "_metadata_plugin", None)
    if plugin is None:
        raise CredentialsError(f"call credentials of type {type(inner).__name__} cannot be used on a Portcall channel")
    return await _ask(plugin, target, method)


async def _ask(plugin: Any, target: str, method: str) -> Entries:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Entries] = loop.create_future()

    def settle(metadata: Any, code: Any, details: Any) -> None:
        if answer.done():
            return
        if code not in (0, grpc.StatusCode.OK):
            words = details.decode() if isinstance(details, bytes) else details
            answer.set_exception(CredentialsError(f"Getting metadata from plugin failed with error: {words}"))
        else:
            answer.set_result(tuple((key, value) for key, value in metadata or ()))

    def on_answer(metadata: Any, code: Any, details: Any) -> None:
        loop.call_soon_threadsafe(settle, metadata, code, details)

    service = method.rpartition("/")[0]
    # In a thread, as in grpcio: a plugin may fetch a token first, and block.
    await asyncio.to_thread(plugin, f"https://{target}{service}", method.rpartition("/")[2], on_answer)
    return await answer
