"""The link between a process and its supervisor: both ends in this process, over a real pair of sockets."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

import portcall
from portcall.errors import ConfigurationError, ProtocolError
from portcall.protos.link_rules import singly
from portcall.protos.portcall.v1.link_pb2 import Frame, HalfClose, Open, Welcome
from portcall.wire.limits import STREAM_BYTES_MAX
from portcall.wire.pump import PeerLeftError, Pump, StreamLostError
from portcall.worker.processes.child import Child
from portcall.worker.processes.mark import Mark, create_file
from portcall.worker.processes.serving import serve
from portcall.worker.processes.stream import PATIENT, BatchStream, open_stream

from .stage import until


async def echo(request: bytes, _: Any) -> bytes:
    return request


async def never(_: bytes, __: Any) -> bytes:
    await asyncio.Event().wait()
    return b""


def make_worker(**options: Any) -> portcall.Worker:
    worker = portcall.Worker(**options)
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo), "Never": grpc.unary_unary_rpc_method_handler(never)}
    worker.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", handlers),))
    return worker


class Supervising:
    """A supervisor's end of a process, and the process's own as a task."""

    def __init__(self, stream: BatchStream, mark: Mark, serving: asyncio.Task[None]) -> None:
        self.serving = serving
        self.frames: list[Frame] = []
        self.child = Child(1, _Here(), stream, mark)  # type: ignore[arg-type]

    def open(self, call_id: int, method: str = "Echo", message: bytes = b"x") -> None:
        self.child.link.send(
            Frame(call_id=call_id, open=Open(method=f"/a.B/{method}", message=message, half_close=True))
        )

    def take(self, frames: Sequence[Frame]) -> None:
        self.frames.extend(singly(frames))

    async def when(self, kind: str, count: int = 1) -> list[Frame]:
        """Wait until so many frames of a kind have come."""
        await until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.HasField(kind)]  # type: ignore[arg-type]


class _Here:
    """What a child asks of its process."""

    pid = os.getpid()

    async def wait(self) -> int:
        return 0

    def send_signal(self, number: int) -> None:
        raise AssertionError("nothing is killed here")


@asynccontextmanager
async def supervising(worker: portcall.Worker) -> AsyncIterator[Supervising]:
    here, there = socket.socketpair()
    memory = create_file()
    serving = asyncio.create_task(serve(worker, there, memory))
    supervisor = Supervising(await open_stream(here), Mark(memory), serving)
    child = supervisor.child
    hello = await child.read_hello()
    os.close(memory)
    assert hello is not None
    assert (hello.worker.slots, hello.worker.contract.services[0].name) == (worker.slots, "a.B")
    child.admit("crane", hello.worker.slots, ["/a.B/Echo", "/a.B/Never"])
    pumping = asyncio.create_task(Pump(child.link, child, supervisor.take, PATIENT).run())
    try:
        yield supervisor
    finally:
        child.dismiss()
        await asyncio.wait([serving])
        with pytest.raises((StreamLostError, PeerLeftError)):
            await pumping
        child.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_calls_run_and_what_has_begun_is_not_kept() -> None:
    async with supervising(make_worker(slots=3)) as supervisor:
        supervisor.open(1, message=b"one")
        supervisor.open(2, message=b"two")
        ends = await supervisor.when("end", 2)
        assert [frame.end.message for frame in ends] == [b"one", b"two"]
        await supervisor.child.write(b"")
        assert supervisor.child.unbegun_calls() == {}


async def test_what_the_app_says_of_name_and_hub_comes_along() -> None:
    memory = create_file()
    for options, name, hub in (({}, "", None), ({"hub": "hub:7070", "name": "crane"}, "crane", "hub:7070")):
        here, there = socket.socketpair()
        serving = asyncio.create_task(serve(make_worker(**options), there, memory))
        stream = await open_stream(here)
        child = Child(1, _Here(), stream, Mark(memory))  # type: ignore[arg-type]
        hello = await child.read_hello()
        assert hello is not None
        assert (hello.worker.name, hello.hub if hello.HasField("hub") else None) == (name, hub)
        child.close()
        await serving
    os.close(memory)


async def test_goodbye_ends_it_and_cancels_what_runs() -> None:
    async with supervising(make_worker()) as supervisor:
        supervisor.open(1, "Never")
        await until(lambda: supervisor.child._mark[0] == 1)
        supervisor.child.dismiss()
        await supervisor.serving


async def test_a_supervisor_that_is_gone_ends_it() -> None:
    async with supervising(make_worker()) as supervisor:
        supervisor.open(1, "Never")
        await until(lambda: supervisor.child._mark[0] == 1)
        supervisor.child.close()
        await supervisor.serving


async def test_sigterm_asks_for_a_successor_and_sigint_does_nothing() -> None:
    async with supervising(make_worker()) as supervisor:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        await supervisor.when("drain")
        supervisor.open(1)
        await supervisor.when("end")


async def test_a_later_word_on_the_largest_message_counts() -> None:
    async with supervising(make_worker()) as supervisor:
        supervisor.child.link.send_event(Frame(welcome=Welcome(message_bytes_max=2)))
        supervisor.open(1, message=b"xxx")
        (frame,) = await supervisor.when("end")
        assert frame.end.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


async def test_a_supervisor_that_breaks_the_rules_loses_the_process(caplog: pytest.LogCaptureFixture) -> None:
    async with supervising(make_worker()) as supervisor:
        supervisor.child.link.send(Frame(call_id=9, half_close=HalfClose()))
        await supervisor.serving
    assert "The supervisor broke the protocol: a frame for call 9, which was never opened" in caplog.text


async def test_a_worker_without_methods_does_not_serve() -> None:
    here, there = socket.socketpair()
    with here, there, pytest.raises(ConfigurationError, match="this worker has no methods"):
        await serve(portcall.Worker(), there, 0)


class TestStream:
    """Batches on a socket."""

    async def test_batches_arrive_whole_whatever_their_size(self) -> None:
        here, there = socket.socketpair()
        one, other = await open_stream(here), await open_stream(there)
        batches = [b"", b"x", b"y" * 5_000_000, b"z" * 70_000]

        async def write_all() -> None:
            for batch in batches:
                await one.write(batch)
            one.close()

        writing = asyncio.create_task(write_all())
        assert [await other.read() for _ in batches] == batches
        assert await other.read() is None
        assert other.batches_read == len(batches)
        await writing
        other.close()

    async def test_a_batch_that_is_cut_off_is_the_end(self) -> None:
        here, there = socket.socketpair()
        stream = await open_stream(here)
        there.sendall((100).to_bytes(4) + b"only this")
        there.close()
        assert await stream.read() is None
        stream.close()

    async def test_a_batch_that_is_too_large_is_refused(self) -> None:
        here, there = socket.socketpair()
        stream = await open_stream(here)
        there.sendall((STREAM_BYTES_MAX + 1).to_bytes(4))
        with pytest.raises(ProtocolError, match="at most"):
            await stream.read()
        stream.close()
        there.close()

    async def test_what_was_written_before_a_death_is_read_though_a_write_fails_first(self) -> None:
        here, there = socket.socketpair()
        stream = await open_stream(here)
        await stream.write(b"never read")
        there.sendall(b"".join((2_000).to_bytes(4) + b"%02d" % number * 1_000 for number in range(50)))
        there.close()
        for _ in range(3):
            await stream.write(b"x")
        batches = [await stream.read() for _ in range(50)]
        assert batches == [b"%02d" % number * 1_000 for number in range(50)]
        assert await stream.read() is None
        stream.close()

    async def test_a_write_waits_until_the_other_side_reads(self) -> None:
        here, there = socket.socketpair()
        one, other = await open_stream(here), await open_stream(there)
        batch = b"x" * 4_000_000
        writing = asyncio.create_task(one.write(batch))
        await asyncio.sleep(0)
        assert not writing.done()
        assert await other.read() == batch
        await writing
        one.close()
        other.close()
