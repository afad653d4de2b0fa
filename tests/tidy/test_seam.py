"""The seam to grpcio's lower layer: what the installed grpcio asks of a transport, ours has."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest
from grpc import _channel as blocking_channel
from grpc._cython import cygrpc
from grpc.aio import _call, _channel, _interceptor

from portcall.cli import main
from portcall.client.transport import LinkCall, LinkTransport
from portcall.sync.calls import UnaryCall
from portcall.sync.events import (
    ConnectivityEvent,
    Event,
    InitialMetadata,
    ReceivedMessage,
    ReceivedStatus,
    renew,
)
from portcall.sync.streams import StreamCall
from portcall.sync.transport import BlockingTransport


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


# --- the blocking layer ----------------------------------------------------------------------------------------------

NOT_USED = {
    "Channel",
    "_ChannelCallState",
    "_SingleThreadedRendezvous",
    "_SingleThreadedUnaryStreamMultiCallable",
    "_channel_managed_call_management",
    "_run_channel_spin_thread",
}
"""What of the blocking layer the blocking channel does without."""


def blocking_layer() -> Iterator[ast.AST]:
    for part in ast.parse(inspect.getsource(blocking_channel)).body:
        if getattr(part, "name", "") not in NOT_USED:
            yield from ast.walk(part)


def asked_of(*names: str) -> list[str]:
    """Every attribute that the layer reads from a variable or an attribute of one of these names."""
    return sorted(
        {
            node.attr
            for node in blocking_layer()
            if isinstance(node, ast.Attribute)
            and (
                (isinstance(node.value, ast.Name) and node.value.id in names)
                or (isinstance(node.value, ast.Attribute) and node.value.attr in names)
            )
        }
    )


def arguments_passed_to(name: str) -> set[int]:
    return {
        len(node.args)
        for node in blocking_layer()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    }


@pytest.mark.parametrize("attribute", asked_of("channel", "_channel"))
def test_blocking_transport_has_what_grpcio_asks_for(attribute: str) -> None:
    assert hasattr(BlockingTransport, attribute)


@pytest.mark.parametrize("attribute", asked_of("call", "_call"))
def test_blocking_calls_have_what_grpcio_asks_for(attribute: str) -> None:
    assert hasattr(StreamCall, attribute)
    assert hasattr(UnaryCall, attribute) or attribute == "operate"


@pytest.mark.parametrize("attribute", asked_of("event"))
def test_events_have_what_grpcio_asks_for(attribute: str) -> None:
    assert hasattr(Event, attribute) or hasattr(ConnectivityEvent, attribute)


@pytest.mark.parametrize("attribute", asked_of("batch_operation"))
def test_operations_that_are_done_have_what_grpcio_asks_for(attribute: str) -> None:
    assert any(hasattr(done, attribute) for done in (InitialMetadata, ReceivedMessage, ReceivedStatus))


@pytest.mark.parametrize(
    ("asked", "method"), [("segregated_call", "segregated_call"), ("_managed_call", "integrated_call")]
)
def test_blocking_transport_makes_calls_with_grpcios_arguments(asked: str, method: str) -> None:
    accepted = len(inspect.signature(getattr(BlockingTransport, method)).parameters) - 1
    assert arguments_passed_to(asked)
    assert max(arguments_passed_to(asked)) <= accepted


@pytest.mark.parametrize("kind", ["UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"])
def test_blocking_multi_callables_are_made_as_we_make_them(kind: str) -> None:
    made = getattr(blocking_channel, f"_{kind}MultiCallable")
    assert [name.lstrip("_") for name in inspect.signature(made).parameters] == [
        "channel",
        "managed_call",
        "method",
        "target",
        "request_serializer",
        "response_deserializer",
        "registered_call_handle",
    ]


def test_lock_of_a_call_object_is_found_by_its_tag() -> None:
    state = blocking_channel._RPCState((), None, None, None, None)
    lock = state.condition
    renew(blocking_channel._event_handler(state, None))
    assert state.condition is not lock


def test_the_blocking_layer_is_read() -> None:
    assert asked_of("channel", "_channel") == [
        "check_connectivity_state",
        "segregated_call",
        "watch_connectivity_state",
    ]
    assert asked_of("call", "_call") == ["cancel", "next_event", "operate"]


def test_forwarding_writes_by_what_grpcio_itself_writes_by() -> None:
    # `worker/forwarding.py` goes past the Python layer for this one method.
    assert "send_serialized_message" in attributes_asked_of(_call, "_cython_call")
    assert list(inspect.signature(cygrpc._AioCall.send_serialized_message).parameters) == ["self", "message"]
    assert issubclass(grpc.aio.InternalError, grpc.aio.BaseError)
