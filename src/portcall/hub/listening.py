"""Where a hub listens: on a port, or on a unix socket that it makes its own."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from portcall.errors import ConfigurationError
from portcall.wire.access import unix_path

UNIX_PATH_BYTES_MAX = 107
"""Linux's; macOS has 103."""


def listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> str:
    """Bind a server; return the address with its real port.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    if address.startswith("unix:"):
        path = unix_path(address)
        _make_way(path)
        with _owner_only():
            _bind(server, address, None)
        return address
    port = _bind(server, address, credentials)
    return f"{address.rpartition(':')[0]}:{port}"


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if not port:
        raise ConfigurationError(
            f"cannot listen on {address}: another process listens there, or the address is not this machine's."
            " Choose another with --listen"
        )
    return port


def _make_way(path: Path) -> None:
    """Remove the socket that a dead hub has left; gRPC itself would take the place of a live one without a word.

    Raises:
        ConfigurationError: something lives there, or nothing can.
    """
    if path == Path():
        raise ConfigurationError("cannot listen on 'unix:': it should have a path, as in unix:/run/portcall.sock")
    if len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
        raise ConfigurationError(
            f"cannot listen on unix:{path}: a socket's path has at most {UNIX_PATH_BYTES_MAX} bytes."
            " Choose a shorter one"
        )
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"cannot listen on unix:{path}: there is no folder {path.parent}. Make it first")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigurationError(f"cannot listen on unix:{path}: what is there is no socket. Choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            _remove(path)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            # EAGAIN: it lives, and its backlog is full.
            if not isinstance(error, BlockingIOError):
                raise ConfigurationError(f"cannot listen on unix:{path}: {error.strerror}") from None
    raise ConfigurationError(
        f"cannot listen on unix:{path}: another process listens there. Stop it, or choose another path with --listen"
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot remove the socket that a dead process has left at {path}: {error.strerror}"
        ) from None


@contextmanager
def _owner_only() -> Iterator[None]:
    """Let what is made meanwhile be of use to this user alone: who may open the socket may use the hub."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
