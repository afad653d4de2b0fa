"""What the hub's reflection tells of a peer, as `portcall call` shows it and any other tool of the kind."""

import asyncio
import json
import subprocess
import sys
import zlib

METHODS = [
    "EmptyCall",
    "FullDuplexCall",
    "HalfDuplexCall",
    "StreamingInputCall",
    "StreamingOutputCall",
    "UnaryCall",
    "UnimplementedCall",
]


async def shown(hub_address: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "portcall", "call", "--hub", hub_address, *arguments, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_services_and_methods_are_listed_and_described(hub_address: str) -> None:
    assert "interop.Interop" in (await shown(hub_address, "--list")).splitlines()
    methods = (await shown(hub_address, "--list", "interop.Interop")).splitlines()
    assert sorted(methods) == [f"interop.Interop/{method}" for method in METHODS]
    described = await shown(hub_address, "--describe", "interop.Interop/FullDuplexCall")
    assert "rpc FullDuplexCall(stream interop.StreamRequest) returns (stream interop.StreamReply);" in described


async def test_method_is_called_by_its_description(hub_address: str) -> None:
    reply = await shown(hub_address, "interop.Interop/UnaryCall", '{"body": "AAE=", "reply_bytes": 2}')
    assert json.loads(reply) == {"body": "AAE=", "requestChecksum": zlib.crc32(b"\0\1")}
