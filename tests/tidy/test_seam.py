"""The seam to grpcio's lower layer: what the installed grpcio asks of a transport, ours has."""

import ast
import inspect
import os
import re
import subprocess
import sys

import grpc
import pytest
from grpc._cython import cygrpc
from grpc.aio import _call, _channel, _interceptor

from portcall.cli import main
from portcall.client.transport import LinkCall, LinkTransport


def attributes_asked_of(module: object, name: str) -> set[str]:
    """Every attribute that a module's code reads from `self.<name>`."""
    asked = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):  # type: ignore[arg-type]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == name:
            asked.add(node.attr)
    return asked


@pytest.mark.parametrize("attribute", sorted(attributes_asked_of(_call, "_cython_call")))
def test_call_has_what_grpcio_asks_for(attribute: str) -> None:
    assert hasattr(LinkCall, attribute) or attribute in inspect.getsource(LinkCall.__init__)


@pytest.mark.parametrize(
    "attribute", sorted(attributes_asked_of(_channel, "_channel") | attributes_asked_of(_interceptor, "_channel"))
)
def test_transport_has_what_grpcio_asks_for(attribute: str) -> None:
    assert hasattr(LinkTransport, attribute)


def test_transport_makes_calls_with_grpcios_arguments() -> None:
    asked = {
        len(node.args)
        for node in ast.walk(ast.parse(inspect.getsource(_call)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "call"
    }
    accepted = len(inspect.signature(LinkTransport.call).parameters) - 1
    assert asked
    assert max(asked) <= accepted


def test_errors_of_a_dead_stream_share_one_root() -> None:
    assert issubclass(grpc.aio.UsageError, grpc.aio.BaseError)
    assert issubclass(grpc.aio.InternalError, grpc.aio.BaseError)


def test_grpcio_knows_the_pollers_that_the_command_line_chooses() -> None:
    """It says on stderr which experiments it does not know, and then the command line has to stop naming them."""
    code = "import grpc; grpc.insecure_channel('127.0.0.1:1').close()"
    names = "-event_engine_client,-event_engine_listener"
    assert names in inspect.getsource(main)
    environment = {**os.environ, "GRPC_EXPERIMENTS": f"{names},nonsense"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    if grpc.__version__.startswith(main.POLLER_KNOWN_TO):
        assert re.findall(r"Unknown experiment: (\S+)", done.stderr) == ["nonsense"]


def test_native_calls_have_what_is_used_beneath_them() -> None:
    assert inspect.iscoroutinefunction(cygrpc._AioCall.send_serialized_message)  # `portcall call` sends by it
