"""What a sidecar makes of an address, and of what a server says of its health."""

import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from portcall.errors import ConfigurationError
from portcall.worker.upstream import Condition, condition_of, upstream_target

Health = HealthCheckResponse.ServingStatus


@pytest.mark.parametrize(
    "address", ["localhost:50051", "[::1]:1", "10.0.0.1:65535", "unix:/run/app.sock", "unix:app.sock", "dns:app:1"]
)
def test_addresses(address: str) -> None:
    assert upstream_target(address) == address


@pytest.mark.parametrize(
    "address", ["", "localhost", ":50051", "50051", "app:0", "app:65536", "app:http", "http://app:1", "unix:", "a/b:1"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigurationError, match="it should be HOST:PORT, as in localhost:50051, or unix:PATH"):
        upstream_target(address)


@pytest.mark.parametrize("health", [None, *Health.values()])
def test_condition(health: int | None) -> None:
    assert condition_of(is_connected=False, health=health) is Condition.GONE
    healthy = {None, Health.Value("SERVING"), Health.Value("SERVICE_UNKNOWN")}
    expected = Condition.SERVING if health in healthy else Condition.NOT_SERVING
    assert condition_of(is_connected=True, health=health) is expected
