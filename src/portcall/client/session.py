"""A client's end of its link: which calls live on it, and what becomes of them when it drops."""

from collections.abc import Callable, Sequence
from typing import Protocol

import grpc

from portcall.client.jobs.keeper import JobKeeper
from portcall.errors import ProtocolError
from portcall.protos.link_rules import fault_of_many
from portcall.protos.portcall.v1.link_pb2 import End, Ends, Frame, Welcome
from portcall.wire.access import Access
from portcall.wire.dialer import SESSION, Connectivity, Dialer, DialerConfig
from portcall.wire.limits import MESSAGE_BYTES_MAX
from portcall.wire.link import Link, LinkState

CANCELLED: int = grpc.StatusCode.CANCELLED.value[0]
UNAVAILABLE: int = grpc.StatusCode.UNAVAILABLE.value[0]

CLOSED = "Channel closed!"
"""What grpc.aio says of calls on a channel that was closed."""


class FrameReceiver(Protocol):
    """A call, or a group of them, that lives on the session."""

    def on_frame(self, frame: Frame, /) -> None:
        """Take a frame; if it is the end, the receiver takes the call off the session."""

    def on_reply(self, call_id: int, message: bytes, /) -> None:
        """Take the end of a call that is OK and has one reply; the receiver takes the call off the session."""


class ClientSession:
    """The calls of one channel."""

    def __init__(self, access: Access) -> None:
        self.target = access.target
        self.calls: dict[int, FrameReceiver] = {}
        self.message_bytes_max = MESSAGE_BYTES_MAX
        self._patient: set[int] = set()
        self._id_last = 0
        self._connectivity = grpc.ChannelConnectivity.IDLE
        self.is_ready = False
        """Whether `connectivity` is READY: what each call of a map asks first."""
        self._why = ""
        self._listeners: list[Callable[[], None]] = []
        self._dialer = Dialer(DialerConfig(access=access, path=SESSION), self)
        self.jobs = JobKeeper(access)

    @property
    def link(self) -> Link:
        """Return the link that frames go to now. It changes when a session is lost: do not keep it."""
        return self._dialer.link

    @property
    def connectivity(self) -> grpc.ChannelConnectivity:
        """Return how the channel stands, in gRPC's words."""
        return self._connectivity

    def on_next_change(self, listener: Callable[[], None]) -> None:
        """Call this at the next change of connectivity, once."""
        self._listeners.append(listener)

    def connect(self) -> None:
        """Begin to dial, if that has not begun. Idempotent."""
        if self._connectivity is grpc.ChannelConnectivity.IDLE:
            self._set_connectivity(grpc.ChannelConnectivity.CONNECTING)
            self._dialer.start()

    async def pause(self) -> None:
        """Suspend the link and let go of the stream beneath it. `resume` goes on; calls under way stay."""
        await self._dialer.pause()
        await self.jobs.suspend()

    def resume(self) -> None:
        """Go on after `pause`, if there was a link."""
        if self._connectivity is not grpc.ChannelConnectivity.IDLE:
            self._dialer.start()
        self.jobs.resume()

    async def close(self) -> None:
        """Say goodbye and stop. Idempotent."""
        await self.jobs.close()
        await self._dialer.close()
        self._set_connectivity(grpc.ChannelConnectivity.SHUTDOWN)

    def refuse(self, *, is_patient: bool) -> End | None:
        """Return the end of a call that cannot be made now, or None if it can.

        As with any gRPC channel, a call fails at once on a channel whose last attempt to connect failed, unless it
        waits for ready.
        """
        if self._connectivity is grpc.ChannelConnectivity.SHUTDOWN:
            return End(status=CANCELLED, details=CLOSED)
        is_failing = self._connectivity is grpc.ChannelConnectivity.TRANSIENT_FAILURE
        if is_failing and not is_patient and self.link.state is LinkState.NEW:
            return self._no_hub()
        return None

    def add(self, receiver: FrameReceiver, *, is_patient: bool) -> int:
        """Put a call on the session; return its id."""
        self._id_last = call_id = self._id_last + 1
        self.calls[call_id] = receiver
        if is_patient:
            self._patient.add(call_id)
        return call_id

    def add_all(self, receiver: FrameReceiver, count: int, *, is_patient: bool) -> range:
        """Put several calls of one receiver on the session; return their ids."""
        first = self._id_last + 1
        self._id_last += count
        ids = range(first, first + count)
        self.calls.update(dict.fromkeys(ids, receiver))
        if is_patient:
            self._patient.update(ids)
        return ids

    def remove(self, call_id: int) -> None:
        """Take a call off the session. Idempotent."""
        self.calls.pop(call_id, None)
        if self._patient:
            self._patient.discard(call_id)

    # --- what its dialer tells it ----------------------------------------------------------------------------------

    def on_session(self, link: Link, welcome: Welcome) -> None:
        """A hub has answered."""
        self.message_bytes_max = welcome.message_bytes_max or MESSAGE_BYTES_MAX

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Give each frame to its call; a frame for a call that is over is late and goes nowhere."""
        calls = self.calls
        for frame in frames:
            call = calls.get(frame.call_id)
            if call is not None:
                call.on_frame(frame)
            elif frame.HasField("ends"):
                self._on_ends(frame.ends)
            else:
                self._check_known(frame.call_id)

    def _on_ends(self, ends: Ends) -> None:
        if fault := fault_of_many(ends):
            raise ProtocolError(fault)
        calls = self.calls
        for call_id, message in zip(ends.call_ids, ends.messages, strict=True):
            call = calls.get(call_id)
            if call is not None:
                call.on_reply(call_id, message)
            else:
                self._check_known(call_id)

    def _check_known(self, call_id: int) -> None:
        if call_id > self._id_last:
            raise ProtocolError(f"a frame for call {call_id}, which was never opened")

    def on_session_lost(self, reason: str, unsent: dict[int, list[Frame]]) -> None:
        """End what the hub has seen; what it has not seen goes to the next session."""
        link = self.link
        for call_id, frames in unsent.items():
            if call_id in self.calls:
                for frame in frames:
                    link.send(frame, len(frame.open.message) + len(frame.message.data))
        self._fail(
            [call_id for call_id in self.calls if call_id not in unsent], _unavailable(f"The call was lost: {reason}")
        )

    def on_connectivity(self, connectivity: Connectivity, reason: str) -> None:
        """Follow the dialer; fail the calls that would not wait for a hub."""
        if connectivity is Connectivity.READY:
            self._set_connectivity(grpc.ChannelConnectivity.READY)
        elif connectivity is Connectivity.FAILING:
            self._why = reason
            self._set_connectivity(grpc.ChannelConnectivity.TRANSIENT_FAILURE)
            if self.link.state is LinkState.NEW:
                self._fail_impatient()
        elif connectivity is Connectivity.CLOSED:
            self._fail(list(self.calls), End(status=CANCELLED, details=CLOSED))

    def _fail_impatient(self) -> None:
        unsent = self.link.take_unsent_calls()
        for call_id, frames in unsent.items():
            if call_id in self._patient:
                for frame in frames:
                    self.link.send(frame, len(frame.open.message) + len(frame.message.data))
        self._fail([call_id for call_id in self.calls if call_id not in self._patient], self._no_hub())

    def _fail(self, call_ids: list[int], end: End) -> None:
        for call_id in call_ids:
            call = self.calls.get(call_id)
            if call is not None:
                call.on_frame(Frame(call_id=call_id, end=end))

    def _no_hub(self) -> End:
        """Return the end of a call that has no hub to go to, or one that does not take our credentials."""
        refusal = self._dialer.refusal
        if refusal is not None:
            return End(status=refusal.value[0], details=self._why)
        return _unavailable(f"No hub answers at {self.target}: {self._why}")

    def _set_connectivity(self, connectivity: grpc.ChannelConnectivity) -> None:
        if connectivity is self._connectivity:
            return
        self._connectivity = connectivity
        self.is_ready = connectivity is grpc.ChannelConnectivity.READY
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()


def _unavailable(details: str) -> End:
    return End(status=UNAVAILABLE, details=details)
