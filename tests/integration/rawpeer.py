"""A peer that writes its link by hand, so that it can break every rule of it."""

from collections.abc import Sequence
from typing import Any

import grpc

from portcall.protos.portcall.v1.link_pb2 import (
    Contract,
    Frame,
    Frames,
    Goodbye,
    Hello,
    Method,
    Service,
    Welcome,
    WorkerHello,
)

CONTRACT = Contract(services=[Service(name="interop.Interop", methods=[Method(name="UnaryCall")])])


class RawPeer:
    """One stream to a hub, at one of its two methods ("Attach" for workers, "Session" for clients)."""

    def __init__(self, channel: grpc.aio.Channel, method: str, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self._stream: Any = channel.stream_stream(f"/portcall.v1.Hub/{method}")(metadata=metadata)
        self._sent = 0

    async def write(self, batch: bytes) -> None:
        await self._stream.write(batch)

    async def read(self) -> Frames:
        batch = await self._stream.read()
        assert isinstance(batch, bytes), "the hub ended the stream"
        return Frames.FromString(batch)

    async def say_hello(self, **fields: Any) -> None:
        await self.write(hello_batch(**fields))

    async def shake_hands(self, **fields: Any) -> Welcome:
        await self.say_hello(**fields)
        (frame,) = (await self.read()).frames
        assert frame.HasField("welcome"), frame
        return frame.welcome

    async def send(self, *frames: Frame) -> None:
        """Send frames in a batch as it should be."""
        self._sent += 1
        await self.write(Frames(frames=frames, seq=self._sent).SerializeToString())

    async def goodbye(self) -> Goodbye:
        """Read on to the hub's goodbye."""
        while True:
            for frame in (await self.read()).frames:
                if frame.HasField("goodbye"):
                    return frame.goodbye

    async def when_ended(self) -> None:
        """Wait until the hub has ended the stream, behind its goodbye."""
        assert await self._stream.read() is grpc.aio.EOF

    def leave(self) -> None:
        """Be gone, without a word."""
        self._stream.cancel()


def hello_batch(*, protocol: int = 1, worker: WorkerHello | None = None, **fields: Any) -> bytes:
    return Frames(frames=[Frame(hello=Hello(protocol=protocol, worker=worker, **fields))]).SerializeToString()


def worker_hello(*, slots: int = 1, contract: Contract = CONTRACT) -> WorkerHello:
    return WorkerHello(name="raw", slots=slots, contract=contract)
