"""What was sent to a process and that it may not have looked at: kept, to be sent to another if it is gone."""

from collections import deque

from portcall.protos.link_rules import singly
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames

KEPT_BYTES_MAX = 33_554_432
"""Bytes kept for one process. Past it, the oldest calls count as begun: they are not sent elsewhere."""


class KeptBatches:
    """The batches in which calls may be that have not begun, and all batches after these.

    A process begins calls in the order of their ids, so the batches before those can be forgotten.
    """

    __slots__ = ("_batches", "_bytes")

    def __init__(self) -> None:
        self._batches: deque[tuple[int, bytes]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._batches)

    def keep(self, batch: bytes, id_last: int) -> None:
        """Keep a batch whose calls have ids up to this one."""
        self._batches.append((id_last, batch))
        self._bytes += len(batch)
        while self._bytes > KEPT_BYTES_MAX:
            self._forget_oldest()

    def forget(self, begun: int) -> None:
        """Forget what is not needed any more, now that calls up to this id have begun."""
        while self._batches and self._batches[0][0] <= begun:
            self._forget_oldest()

    def unbegun_calls(self, begun: int) -> dict[int, list[Frame]]:
        """Return the frames of the calls that have not begun, by id, each in its order.

        A call with frames that were forgotten, its open among them, is not there.
        """
        calls: dict[int, list[Frame]] = {}
        for _, batch in self._batches:
            for frame in singly(Frames.FromString(batch).frames):
                if frame.call_id <= begun:
                    continue
                if frame.HasField("open"):
                    calls[frame.call_id] = [frame]
                elif frame.call_id in calls:
                    calls[frame.call_id].append(frame)
        return calls

    def _forget_oldest(self) -> None:
        _, batch = self._batches.popleft()
        self._bytes -= len(batch)
