"""The cases of a Node client, by way of hub and sidecar to servers in other languages."""

import asyncio
import json
import subprocess

from .tools import interop_by_node, node_environment

CASES = 18
LEFT = {"cpp": ["initial_metadata_comes_before_the_reply"]}
"""What a peer cannot do: C++'s plain servicers send a unary call's initial metadata with its reply."""


async def test_node_client(peer_language: str, hub_address: str) -> None:
    left = LEFT.get(peer_language, [])
    client = await asyncio.create_subprocess_exec(
        *interop_by_node("client.js", hub_address, *left), env=node_environment(), stdout=subprocess.PIPE
    )
    output, _ = await client.communicate()
    results = {line["case"]: line["error"] for line in map(json.loads, output.splitlines())}
    assert not {case: error for case, error in results.items() if error}
    assert len(results) == CASES - len(left)
    assert client.returncode == 0
