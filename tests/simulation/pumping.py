"""What `wire.pump` does, over a simulated stream."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from portcall.protos.portcall.v1.link_pb2 import Frame, Frames
from portcall.wire.link import Link

from .network import StreamEnd

if TYPE_CHECKING:
    from .world import World


class LinkKeeper(Protocol):
    """Whose link a pump moves."""

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Frames have come."""

    def on_goodbye(self) -> None:
        """The other side has left for good."""

    def on_stream_lost(self) -> None:
        """The stream has broken."""


class SimPump:
    """Runs one link over one stream, until it is stopped."""

    def __init__(
        self, world: "World", link: Link, end: StreamEnd, keeper: LinkKeeper, on_sent: Callable[[Frames], None]
    ) -> None:
        self._world = world
        self._link = link
        self._end = end
        self._keeper = keeper
        self._on_sent = on_sent
        self._is_running = True
        self._is_due = False
        end.on_batch, end.on_room, end.on_lost = self._receive, self._wake, self._lose
        self._wake()

    def __repr__(self) -> str:
        return f"pump of {self._keeper}"

    def stop(self) -> None:
        """Leave link and stream alone. Idempotent."""
        if self._is_running:
            self._is_running = False
            self._link.on_ready = None
            self._end.close()

    def _wake(self) -> None:
        """Write in a moment; the link gathers until then."""
        if self._is_running and not self._is_due:
            self._is_due = True
            self._world.schedule.soon(0.0005, self._write)

    def _write(self) -> None:
        self._is_due = False
        if not self._is_running:
            return
        self._world.watch.links_moved.append(self._link)
        while self._end.has_room:
            batch = self._link.next_batch()
            if batch is None:
                self._link.on_ready = self._wake
                return
            self._on_sent(Frames.FromString(batch))
            self._end.write(batch)

    def _receive(self, batch: bytes) -> None:
        self._world.watch.links_moved.append(self._link)
        frames = self._link.receive(batch)
        if frames and frames[0].HasField("goodbye"):
            self._keeper.on_goodbye()
        elif frames:
            self._keeper.on_frames(frames)

    def _lose(self) -> None:
        if self._is_running:
            self.stop()
            self._keeper.on_stream_lost()
