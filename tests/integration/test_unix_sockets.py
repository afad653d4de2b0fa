"""A hub on a unix socket, and everything that reaches it there."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import grpc
import pytest
from interop.service import interop_stub
from interop_pb2 import UnaryReply, UnaryRequest
from pki import Authority

from portcall.errors import ConfigurationError
from portcall.wire.access import resolve_access
from portcall.wire.native import open_channel

from .servicers import echo
from .stage import LONG_S, Stage, status_of

TOKEN = "both-0123456789abcdef"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.sock"


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
async def test_workers_channels_and_native_clients_meet_there(stage: Stage, path: Path, form: str) -> None:
    address = form.format(path)
    hub = await stage.hub(listen=address)
    assert hub.address == address
    await stage.worker(address, name="crane", UnaryCall=echo)
    assert await stage.stub(address).UnaryCall(UnaryRequest(body=b"1")) == UnaryReply(body=b"1")
    assert await stage.native_stub(address).UnaryCall(UnaryRequest(body=b"2")) == UnaryReply(body=b"2")
    assert [worker.name for worker in await stage.fleet(address).workers()] == ["crane"]

    def ask_blocking() -> bytes:
        with open_channel(resolve_access(address, environ={})) as channel:
            reply = interop_stub(channel).UnaryCall(UnaryRequest(body=b"3"), timeout=LONG_S)  # type: ignore[arg-type]
            return bytes(reply.body)  # type: ignore[attr-defined]

    assert await asyncio.to_thread(ask_blocking) == b"3"


async def test_tokens_work_there_and_tls_is_left_out(stage: Stage, path: Path, tmp_path: Path) -> None:
    address = f"unix:{path}"
    await stage.hub(listen=address, access={"token": TOKEN})
    tls = Authority(tmp_path / "pki").client()
    await stage.worker(address, UnaryCall=echo, token=TOKEN, tls=tls)
    stub = interop_stub(stage.channel(address, token=TOKEN, tls=tls))
    assert await stub.UnaryCall(UnaryRequest()) == UnaryReply()
    code, _ = await status_of(interop_stub(stage.channel(address)).UnaryCall(UnaryRequest()))
    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_socket_is_its_owner_s_alone(stage: Stage, path: Path) -> None:
    mask = os.umask(0o022)
    try:
        await stage.hub(listen=f"unix:{path}")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_socket_goes_with_its_hub(stage: Stage, path: Path) -> None:
    hub = await stage.hub(listen=f"unix:{path}")
    await hub.stop()
    assert not path.exists()


async def test_socket_of_a_dead_hub_is_replaced(stage: Stage, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    await stage.hub(listen=f"unix:{path}")
    await stage.worker(f"unix:{path}", UnaryCall=echo)


async def test_socket_of_a_live_hub_is_left_to_it(stage: Stage, path: Path) -> None:
    address = f"unix:{path}"
    await stage.hub(listen=address)
    with pytest.raises(ConfigurationError, match=r"another process listens there\. Stop it, or choose"):
        await stage.hub(listen=address)
    await stage.worker(address, UnaryCall=echo)
    assert await stage.stub(address).UnaryCall(UnaryRequest()) == UnaryReply()


async def test_socket_whose_backlog_is_full_is_a_live_one(stage: Stage, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(ConfigurationError, match="another process listens there"):
            await stage.hub(listen=f"unix:{path}")
    assert path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
async def test_what_is_no_socket_is_left_alone(stage: Stage, path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    with pytest.raises(ConfigurationError, match=r"what is there is no socket\. Choose another path"):
        await stage.hub(listen=f"unix:{path}")
    assert path.is_symlink() or path.exists()


async def test_path_that_cannot_be_is_said_in_words(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no folder .*nope\. Make it first"):
        await stage.hub(listen=f"unix:{tmp_path}/nope/hub.sock")
    with pytest.raises(ConfigurationError, match="a socket's path has at most 107 bytes"):
        await stage.hub(listen=f"unix:{tmp_path}/{'x' * 120}")


async def test_channel_without_a_hub_says_which_socket(stage: Stage, path: Path) -> None:
    code, details = await status_of(stage.stub(f"unix:{path}").UnaryCall(UnaryRequest()))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert f"No hub answers at unix:{path}" in details
    assert "No such file or directory" in details
