"""What a sidecar makes of an address, and of what a server says of its health."""

import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from portcall.errors import ConfigurationError
from portcall.worker.upstream import Condition, condition_of
from portcall.worker.upstream_access import UpstreamAccess

Health = HealthCheckResponse.ServingStatus


@pytest.mark.parametrize(
    "address", ["localhost:50051", "[::1]:1", "10.0.0.1:65535", "unix:/run/app.sock", "unix:app.sock", "dns:app:1"]
)
def test_addresses(address: str) -> None:
    assert UpstreamAccess(target=address).target == address


@pytest.mark.parametrize(
    "address", ["", "localhost", ":50051", "50051", "app:0", "app:65536", "app:http", "http://app:1", "unix:", "a/b:1"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigurationError, match="it should be HOST:PORT, as in localhost:50051, or unix:PATH"):
        UpstreamAccess(target=address)


@pytest.mark.parametrize("name", ["shop.internal", "shop.internal:443", "10.0.0.1", "[::1]:1", "shop_1"])
def test_authorities(name: str) -> None:
    assert UpstreamAccess(target="app:1", authority=name).authority == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "https://a", "caf\u00e9", "a\n", "me@a"])
def test_what_is_no_authority(name: str) -> None:
    with pytest.raises(ConfigurationError, match="it should be a name, as in shop"):
        UpstreamAccess(target="app:1", authority=name)


@pytest.mark.parametrize("health", [None, *Health.values()])
def test_condition(health: int | None) -> None:
    assert condition_of(is_connected=False, is_silent=False, health=health) is Condition.GONE
    assert condition_of(is_connected=False, is_silent=True, health=health) is Condition.GONE
    assert condition_of(is_connected=True, is_silent=True, health=health) is Condition.SILENT
    healthy = {None, Health.Value("SERVING"), Health.Value("SERVICE_UNKNOWN")}
    expected = Condition.SERVING if health in healthy else Condition.NOT_SERVING
    assert condition_of(is_connected=True, is_silent=False, health=health) is expected
