"""Which variables are ours, which are slips of the pen, and which are none of our business."""

import click
import pytest

from portcall.cli.main import cli
from portcall.cli.settings.configuration import OTHER_VARIABLES, slips
from portcall.cli.settings.environment import strangers
from portcall.cli.settings.setting import places_below

PLACES = [*places_below(cli, (), click.Context(cli))]
KNOWN = {place.setting.variable for place in PLACES}
TABLES = sorted({place.table for place in PLACES})


@pytest.mark.parametrize(
    ("name", "meant"),
    {
        "PORTCALL_HUB_DRIAN": "PORTCALL_HUB_DRAIN",
        "PORTCALL_HUB_QUEUEMAX": "PORTCALL_HUB_QUEUE_MAX",
        "PORTCALL_HUB_QUEUE_MXA": "PORTCALL_HUB_QUEUE_MAX",
        "PORTCALL_HBU_QUEUE_MAX": "PORTCALL_HUB_QUEUE_MAX",
        "PORTCALL_WORKERS_SLOTS": "PORTCALL_WORKER_SLOTS",
        "PORTCALL_TOKN_FILE": "PORTCALL_TOKEN_FILE",
        "PORTCALL_TOKENS": "PORTCALL_TOKEN",
        "PORTCALL_TLSCA": "PORTCALL_TLS_CA",
        "PORTCALL_HUBB": "PORTCALL_HUB",
        "PORTCALL_CONFIGS": "PORTCALL_CONFIG",
        "PORTCALL_hub_drain": "PORTCALL_HUB_DRAIN",
    }.items(),
)
def test_slip_is_told_with_what_was_meant(name: str, meant: str) -> None:
    assert slips([name], KNOWN, TABLES) == {name: meant}


@pytest.mark.parametrize(
    "name",
    [
        "PORTCALL_GOLDEN",
        "PORTCALL_PEERS",
        "PORTCALL_SEED",
        "PORTCALL_HUB_REPLICAS",
        "PORTCALL_HUB_IMAGE",
        "PORTCALL_WORKER_HOST",
        "PORTCALL_WORKER_IMAGE",
        "PORTCALL_VERSION",
        "PORTCALL_",
    ],
)
def test_names_that_somebody_else_may_use_are_no_slips(name: str) -> None:
    assert strangers([name], KNOWN) == [name]
    assert slips([name], KNOWN, TABLES) == {}


@pytest.mark.parametrize(
    "name",
    [
        "PORTCALL_SERVICE_HOST",
        "PORTCALL_PORT",
        "PORTCALL_HUB_SERVICE_HOST",
        "PORTCALL_HUB_SERVICE_PORT",
        "PORTCALL_HUB_SERVICE_PORT_GRPC",
        "PORTCALL_HUB_PORT",
        "PORTCALL_HUB_PORT_7070_TCP",
        "PORTCALL_HUB_PORT_7070_TCP_PROTO",
        "PORTCALL_HUB_PORT_7070_TCP_PORT",
        "PORTCALL_HUB_PORT_7070_TCP_ADDR",
        "PORTCALL_HUB_METRICS_PORT_53_UDP_ADDR",
    ],
)
def test_what_kubernetes_makes_is_no_stranger(name: str) -> None:
    assert strangers([name], KNOWN) == []


def test_strangers_are_those_that_begin_as_ours_do() -> None:
    environment = ["PATH", "_PORTCALL_COMPLETE", "PORTCALL_B", "PORTCALL_A", *KNOWN]
    assert strangers(environment, KNOWN) == ["PORTCALL_A", "PORTCALL_B"]


def test_no_variable_of_ours_is_a_slip_of_another() -> None:
    for name in KNOWN:
        assert strangers([name], {*KNOWN, *OTHER_VARIABLES}) == []
