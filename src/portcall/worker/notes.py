"""What an attempt has told while there was no hub to hear it: its latest progress, and the newest lines of its log."""

from collections import deque
from collections.abc import Iterator

from portcall.protos.portcall.v1.jobs_pb2 import LogLine, Progress
from portcall.protos.portcall.v1.link_pb2 import Frame

LINES_MAX = 200
"""Lines of one attempt that are kept; the oldest go for newer ones."""

LINES_BYTES_MAX = 8_388_608
"""Bytes of the lines of all attempts together. Past it, each attempt's newer lines take the places of its own older
ones; those of one that has none are left out."""

LINE_OVERHEAD_BYTES = 64
"""What a line is taken to cost beside its text."""

WARNING = 30
"""The level of the line that says how many were left out."""


class Room:
    """What all attempts of a worker may keep together."""

    __slots__ = ("bytes_held",)

    def __init__(self) -> None:
        self.bytes_held = 0


class KeptNotes:
    """Those of one attempt."""

    __slots__ = ("_left_out", "_lines", "_progress", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lines: deque[LogLine] = deque()
        self._left_out = 0
        self._progress: Progress | None = None

    def put_progress(self, progress: Progress) -> None:
        """Keep this in place of what was kept; also if the hub has heard it, which may die before it has stored it."""
        self._progress = Progress()
        self._progress.CopyFrom(progress)  # a parsed message keeps its whole batch in memory

    def put_line(self, line: LogLine) -> None:
        """Keep a line that nobody hears now."""
        kept = LogLine()
        kept.CopyFrom(line)
        self._lines.append(kept)
        self._room.bytes_held += _cost(kept)
        while self._lines and (len(self._lines) > LINES_MAX or self._room.bytes_held > LINES_BYTES_MAX):
            self._drop_oldest()
            self._left_out += 1

    def frames(self, call_id: int) -> Iterator[Frame]:
        """Yield what the hub is to hear on this call; lines are forgotten with it."""
        if self._left_out:
            words = f"(lines left out here, which came while the hub was away: {self._left_out:,})"
            yield Frame(call_id=call_id, log=LogLine(level=WARNING, text=words))
            self._left_out = 0
        while self._lines:
            yield Frame(call_id=call_id, log=self._drop_oldest())
        if self._progress is not None:
            yield Frame(call_id=call_id, progress=self._progress)

    def close(self) -> None:
        """Forget everything."""
        while self._lines:
            self._drop_oldest()

    def _drop_oldest(self) -> LogLine:
        line = self._lines.popleft()
        self._room.bytes_held -= _cost(line)
        return line


def _cost(line: LogLine) -> int:
    return len(line.text) + LINE_OVERHEAD_BYTES
