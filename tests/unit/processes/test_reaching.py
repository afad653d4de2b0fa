"""What an app says of the way to the hub, on its way to the supervisor."""

from pathlib import Path
from typing import Any

import pytest

import portcall
from portcall.protos.portcall.v1.process_pb2 import ProcessHello
from portcall.wire.access import Tls
from portcall.worker.processes.reaching import take, tell


def taken(said: dict[str, Any], known: dict[str, Any] | None = None) -> portcall.Worker:
    """What a worker that knows some things makes of what an app's worker says."""
    hello = ProcessHello()
    tell(portcall.Worker(**said), hello)
    worker = portcall.Worker(**(known or {}))
    take(worker, ProcessHello.FromString(hello.SerializeToString()))
    return worker


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"hub": "hub.example:7070"},
        {"token": "s3cret"},
        {"tls": True},
        {"tls": False},
        {"insecure": True},
        {"insecure": False},
        {"hub": "h:1", "token": "t", "tls": Tls(ca="/ca.pem", cert="/own.pem", key="/own.key"), "insecure": True},
        {"tls": Tls()},
    ],
)
def test_what_an_app_says_arrives(said: dict[str, Any]) -> None:
    worker = taken(said)
    assert worker.hub == said.get("hub")
    assert worker.token == said.get("token")
    assert worker.insecure is said.get("insecure")
    assert worker.tls == (Tls() if said.get("tls") is True else said.get("tls"))


def test_files_are_named_in_full() -> None:
    worker = taken({"token": Path("token"), "tls": Tls(ca="ca.pem")})
    assert worker.token == Path.cwd() / "token"
    assert worker.tls == Tls(ca=str(Path.cwd() / "ca.pem"))


def test_what_is_known_already_counts() -> None:
    known = {"hub": "other:1", "token": "mine", "tls": False, "insecure": False}
    worker = taken({"hub": "hub:1", "token": "s3cret", "tls": True, "insecure": True}, known)
    assert (worker.hub, worker.token, worker.tls, worker.insecure) == ("other:1", "mine", False, False)
