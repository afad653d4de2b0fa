"""What type checkers are told of a channel's methods is what there is."""

import inspect
import typing

import grpc.aio
import pytest

from portcall import typed
from portcall.client.channel import StreamUnary, UnaryUnary


@pytest.mark.parametrize("multi_callable", [UnaryUnary, StreamUnary])
def test_map_has_the_parameters_that_its_type_says(multi_callable: type[UnaryUnary] | type[StreamUnary]) -> None:
    real = inspect.signature(multi_callable.map).parameters
    said = [inspect.signature(each).parameters for each in typing.get_overloads(typed.Mapped.map)]
    assert said
    for parameters in said:
        assert [(each.name, each.kind) for each in parameters.values()] == [
            (each.name, each.kind) for each in real.values()
        ]
    assert {name: each.default for name, each in said[0].items()} == {name: each.default for name, each in real.items()}


@pytest.mark.parametrize("name", ["StreamUnaryMultiCallable", "StreamStreamMultiCallable"])
def test_call_has_the_parameters_of_grpcio(name: str) -> None:
    real = inspect.signature(getattr(grpc.aio, name).__call__).parameters
    said = inspect.signature(getattr(typed, name).__call__).parameters
    assert list(said) == list(real)
