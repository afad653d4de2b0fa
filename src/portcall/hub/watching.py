"""The board with somebody watching: each call is reported once it has ended, as its caller saw it.

Nothing of this is on the way of a hub that nobody watches. Where somebody does, it stands between the board and each
client port, and sees the frames that come from the port and those that go to its sink.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from portcall.contract.contract import MethodKind
from portcall.core.attempts import AttemptPort
from portcall.core.calls import ClientPort, FrameSink
from portcall.core.limits import CallLimits
from portcall.hub.board import Board
from portcall.protos.link_rules import singly
from portcall.protos.portcall.v1.link_pb2 import Frame

logger = logging.getLogger("portcall.hub")

CANCELLED = 1


@dataclass(slots=True)
class Traffic:
    """What went one way in a call."""

    message_count: int = 0
    message_bytes: int = 0

    def add(self, message: bytes, *, is_last_chunk: bool = True) -> None:
        """Count a message, or a chunk of one."""
        self.message_bytes += len(message)
        self.message_count += is_last_chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedCall:
    """A call that is over. The time is from when the hub had its first frame to when it had its last."""

    method: str
    kind: MethodKind | None
    """None for a method that no worker has brought."""
    caller: str
    """As gRPC writes it: "ipv4:127.0.0.1:40000"."""
    status: int
    details: str
    duration_s: float
    requests: Traffic
    replies: Traffic


OnCall: TypeAlias = Callable[[EndedCall], None]


class WatchedBoard(Board):
    """A board that calls `on_call` for each call that ends."""

    def __init__(self, limits: CallLimits, kind_of: Callable[[str], MethodKind | None], on_call: OnCall) -> None:
        super().__init__(limits)
        self._kind_of = kind_of
        self._on_call = on_call

    def from_client(self, client: ClientPort, frames: Sequence[Frame]) -> None:
        """Take frames of a client; see `Switchboard.from_client`, which changes them. Attempts are not reported."""
        if isinstance(client, AttemptPort):
            super().from_client(client, frames)
            return
        sink = client.sink
        if not isinstance(sink, _WatchedSink):
            sink = client.sink = _WatchedSink(client, self._report, lambda: self.now)
            client.send = sink.send
        for frame in singly(frames):
            sink.note_request(frame)
        super().from_client(client, frames)

    def remove_client(self, client: ClientPort) -> None:
        """Give up the calls of a client that is gone."""
        if isinstance(client.sink, _WatchedSink):
            client.sink.end_all("the caller is gone")
        super().remove_client(client)

    def _report(self, call: "_OpenCall", status: int, details: str) -> None:
        ended = EndedCall(
            method=call.method,
            kind=self._kind_of(call.method),
            caller=call.caller,
            status=status,
            details=details,
            duration_s=self.now - call.opened_at,
            requests=call.requests,
            replies=call.replies,
        )
        try:
            self._on_call(ended)
        except Exception:
            logger.exception("Whoever watches the calls failed; the calls go on")


class _OpenCall:
    """A call that is under way."""

    __slots__ = ("caller", "method", "opened_at", "replies", "requests")

    def __init__(self, method: str, caller: str, opened_at: float) -> None:
        self.method = method
        self.caller = caller
        self.opened_at = opened_at
        self.requests = Traffic()
        self.replies = Traffic()


class _WatchedSink:
    """The way out of a client port, with somebody reading along."""

    __slots__ = ("_calls", "_client_name", "_now", "_report", "_sink")

    def __init__(
        self, client: ClientPort, report: Callable[[_OpenCall, int, str], None], now: Callable[[], float]
    ) -> None:
        self._sink: FrameSink = client.sink
        self._client_name = client.name
        self._report = report
        self._now = now
        self._calls: dict[int, _OpenCall] = {}

    @property
    def bytes_held(self) -> int:
        """About how many bytes wait to be sent or acknowledged."""
        return self._sink.bytes_held

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Send a frame to the client."""
        for single in singly((frame,)):
            self._note_reply(single)
        self._sink.send(frame, message_bytes)

    def send_ahead(self, frame: Frame, /) -> None:
        """Send a credit to the client."""
        self._sink.send_ahead(frame)

    def drop_chunks(self, call_id: int, /) -> None:
        """Forget messages of a call that still wait."""
        self._sink.drop_chunks(call_id)

    def note_request(self, frame: Frame) -> None:
        """Read a frame of the client's."""
        if frame.HasField("open"):
            opening = frame.open
            call = self._calls[frame.call_id] = _OpenCall(opening.method, self._client_name, self._now())
            if opening.HasField("message"):
                call.requests.add(opening.message)
        elif frame.HasField("cancel"):
            self._end(frame.call_id, CANCELLED, "")
        elif frame.HasField("message") and (known := self._calls.get(frame.call_id)) is not None:
            known.requests.add(frame.message.data, is_last_chunk=not frame.message.more)

    def _note_reply(self, frame: Frame) -> None:
        """Read a frame for the client."""
        call = self._calls.get(frame.call_id)
        if call is None:
            return
        if frame.HasField("message"):
            call.replies.add(frame.message.data, is_last_chunk=not frame.message.more)
        elif frame.HasField("end"):
            if frame.end.HasField("message"):
                call.replies.add(frame.end.message)
            self._end(frame.call_id, frame.end.status, frame.end.details)

    def end_all(self, details: str) -> None:
        """Report all calls as given up."""
        for call_id in list(self._calls):
            self._end(call_id, CANCELLED, details)

    def _end(self, call_id: int, status: int, details: str) -> None:
        call = self._calls.pop(call_id, None)
        if call is not None:
            self._report(call, status, details)
