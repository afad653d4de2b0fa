"""The seam to grpcio's lower layer: what the installed grpcio asks of a transport, ours has."""

import ast
import inspect

import grpc
import pytest
from grpc._cython import cygrpc
from grpc.aio import _call, _channel, _interceptor

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


def test_forwarding_writes_by_what_grpcio_itself_writes_by() -> None:
    # `worker/forwarding.py` goes past the Python layer for this one method.
    assert "send_serialized_message" in attributes_asked_of(_call, "_cython_call")
    assert list(inspect.signature(cygrpc._AioCall.send_serialized_message).parameters) == ["self", "message"]
    assert issubclass(grpc.aio.InternalError, grpc.aio.BaseError)
