"""Requests and replies as JSON, by the contract that the hub tells; as base64 where it tells none."""

import base64
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from portcall.cli.call.directory import Directory
from portcall.cli.exits import CallError
from portcall.contract.documents import JsonValue
from portcall.contract.to_json import JsonWriteError
from portcall.errors import ConfigurationError


class Payload(NamedTuple):
    """A message as JSON, or why there is none; the bytes are in base64 then."""

    value: JsonValue
    problem: str = ""


class Payloads:
    """Shows messages of methods, each method looked up once."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._methods: dict[str, MethodDescriptor | str] = {}

    async def request(self, method: str, content: bytes) -> Payload:
        """Show a request."""
        found = await self._method(method)
        return _raw(content, found) if isinstance(found, str) else await self._shown(found.input_type, content)

    async def reply(self, method: str, content: bytes) -> Payload:
        """Show a reply."""
        found = await self._method(method)
        return _raw(content, found) if isinstance(found, str) else await self._shown(found.output_type, content)

    async def is_streaming(self, method: str) -> bool:
        """Whether a method's jobs have stored replies instead of one; no, where that is not known."""
        found = await self._method(method)
        return not isinstance(found, str) and found.server_streaming

    async def _method(self, name: str) -> MethodDescriptor | str:
        if name not in self._methods:
            try:
                self._methods[name] = await self._directory.method(name)
            except (ConfigurationError, CallError) as error:
                self._methods[name] = str(error)
        return self._methods[name]

    async def _shown(self, kind: Descriptor, content: bytes) -> Payload:
        try:
            return Payload(await self._directory.json(GetMessageClass(kind).FromString(content)))
        except (DecodeError, JsonWriteError) as error:
            return _raw(content, f"it is not a {kind.full_name}: {error}")


def _raw(content: bytes, problem: str) -> Payload:
    return Payload(base64.b64encode(content).decode(), problem)
