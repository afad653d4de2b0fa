"""A process of the worker, as its supervisor has it: started, spoken to, looked at, and seen to its end."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress

from google.protobuf.message import DecodeError

from portcall.core.calls import CallState, WorkerPort
from portcall.errors import ProtocolError
from portcall.protos.portcall.v1.link_pb2 import Frame, Goodbye, Ping
from portcall.protos.portcall.v1.process_pb2 import ProcessHello
from portcall.wire.link import Link, LinkState
from portcall.worker.processes.effects import Vitals
from portcall.worker.processes.keeping import KeptBatches
from portcall.worker.processes.machine import resident_bytes
from portcall.worker.processes.mark import Mark, create_file
from portcall.worker.processes.stream import BatchStream, open_stream

EOF_S = 1.0
"""How long what a dead process wrote may take to be read: a process that it started itself may hold the socket open."""


class Child:
    """One process. For a pump it is the stream of its link."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, stream: BatchStream, mark: Mark) -> None:
        self.number = number
        self.pid = process.pid
        self.link = Link()
        self.port: WorkerPort | None = None
        """Its place at the switchboard, once it has said hello."""
        self.exited = asyncio.get_running_loop().create_task(process.wait(), name=f"process {process.pid}")
        self.slots = 0
        """How many calls it takes at once, when it takes any."""
        self._process = process
        self._stream = stream
        self._mark = mark
        self._kept = KeptBatches()
        self._batches_seen = 0
        self._pulses_missed = 0
        self._is_asked = False
        self._stopping: dict[int, float] = {}
        """Since when calls that have begun are to stop, by id."""

    async def read_hello(self) -> ProcessHello | None:
        """Return what the process says of itself; None if it ends without a word.

        Raises:
            ProtocolError: it says something else.
        """
        said = await self._stream.read()
        if said is None:
            return None
        try:
            return ProcessHello.FromString(said)
        except DecodeError:
            raise ProtocolError("what it said first was no hello") from None

    def admit(self, name: str, slots: int, methods: Iterable[str]) -> None:
        """Give a process of the worker of this name its place at the switchboard, and open its link."""
        self.slots = slots
        self.port = WorkerPort(f"{name} (process {self.pid})", self.link, slots)
        self.port.methods = frozenset(methods)
        self.link.establish()

    async def read(self) -> bytes | None:
        """Return the next batch, or None at the end."""
        self._kept.forget(self._mark[0])
        return await self._stream.read()

    async def write(self, batch: bytes) -> None:
        """Send a batch, and keep it until its calls have begun."""
        assert self.port is not None
        self._kept.forget(self._mark[0])
        self._kept.keep(batch, self.port.id_last)
        await self._stream.write(batch)

    def dismiss(self) -> None:
        """Tell the process to end. Idempotent."""
        if self.link.state is LinkState.OPEN:
            self.link.say_goodbye(Goodbye.REASON_DONE, "")

    def kill(self) -> None:
        """Send SIGKILL. Idempotent."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def look(self, now: float, hang_limit_s: float) -> Vitals:
        """See how the process is, and ask it whether it lives if it has been silent."""
        self._take_pulse()
        port = self.port
        hanging = self._hanging(now, hang_limit_s) if port is not None and hang_limit_s else []
        return Vitals(
            pulses_missed=self._pulses_missed,
            running=0 if port is None else len(port.calls),
            ended=0 if port is None else port.ended,
            hanging=len(hanging),
            hanging_method=hanging[0] if hanging else "",
            rss_bytes=resident_bytes(self.pid),
        )

    def unbegun_calls(self) -> dict[int, list[Frame]]:
        """Return the frames of the calls that it has never begun. Right only once the process is gone."""
        return self.link.take_unsent_calls(self._kept.unbegun_calls(self._mark[0]))

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._stream.close()
        if self.link.state is not LinkState.CLOSED:
            self.link.close()

    def _take_pulse(self) -> None:
        """Count how often it was silent since it was asked. One question at a time, or a deaf process gathers them."""
        if self.link.state is not LinkState.OPEN:
            return
        if self._stream.batches_read != self._batches_seen:
            self._batches_seen = self._stream.batches_read
            self._pulses_missed, self._is_asked = 0, False
        elif self._is_asked:
            self._pulses_missed += 1
        else:
            self._is_asked = True
            self.link.send_event(Frame(ping=Ping(value=self._batches_seen)))

    def _hanging(self, now: float, hang_limit_s: float) -> list[str]:
        """Return the methods of the calls that go on although they were told to stop so long ago."""
        assert self.port is not None
        begun, before = self._mark[0], self._stopping
        calls = self.port.calls
        self._stopping = {
            call_id: before.get(call_id, now)
            for call_id, call in calls.items()
            if call_id <= begun and (call.is_stopping or call.state is CallState.CANCELLING)
        }
        return [calls[call_id].method for call_id, since in self._stopping.items() if now - since >= hang_limit_s]


async def start_child(number: int, command: Sequence[str]) -> Child:
    """Start a process; the command is followed by two numbers of files: its socket, and the memory of its mark.

    Raises:
        OSError: it cannot be started.
    """
    here, there = socket.socketpair()
    memory = create_file()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            str(there.fileno()),
            str(memory),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(there.fileno(), memory),
            # Ctrl-C in the terminal is for the supervisor alone.
            start_new_session=True,
        )
        return Child(number, process, await open_stream(here), Mark(memory))
    except BaseException:
        here.close()
        raise
    finally:
        there.close()
        os.close(memory)
