"""What `wire.dialer` does, over simulated streams: dial, shake hands, resume, and give a session up in time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from portcall.protos.link_rules import PROTOCOL_VERSION
from portcall.protos.portcall.v1.link_pb2 import (
    Frame,
    Frames,
    Goodbye,
    HeldAttempt,
    Hello,
    Welcome,
    WorkerHello,
)
from portcall.wire.link import Link, LinkState

from .network import StreamEnd
from .pumping import SimPump

if TYPE_CHECKING:
    from .world import World

REDIAL_MEAN_S = 0.05
HANDSHAKE_S = 0.4


class Owner(Protocol):
    """Whose calls travel on the link."""

    def names(self) -> list[HeldAttempt]:
        """Return what the hello names."""

    def on_session(self) -> None:
        """A new session begins."""

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Frames have come."""

    def on_session_lost(self, unsent: dict[int, list[Frame]]) -> None:
        """The session is over, with all of its calls but those in `unsent`."""

    def on_sent(self, frames: Sequence[Frame]) -> None:
        """Frames leave for the first time."""


class SimDialer:
    """Keeps one link to the hub, until it is told to leave."""

    def __init__(self, world: "World", owner: Owner, worker: WorkerHello | None) -> None:
        self._world = world
        self._owner = owner
        self._worker = worker
        self.link = Link()
        self._session = b""
        self._pump: SimPump | None = None
        self._dialled: StreamEnd | None = None
        self._sent = 0
        self._drops = 0
        self.has_left = False
        self.cut_off_until = 0.0
        """Until then the hub cannot be reached."""
        world.schedule.soon(REDIAL_MEAN_S, self.dial)

    def __repr__(self) -> str:
        return f"dialler of {self._owner}"

    @property
    def stream(self) -> StreamEnd | None:
        """Return this side of the stream of the moment, if there is one."""
        return self._dialled

    def dial(self) -> None:
        """Try to attach, unless that is done or under way."""
        if self.has_left or self._dialled is not None:
            return
        stream = self._world.connect(self)
        if stream is None:
            self._redial()
            return
        end = self._dialled = stream.dialler
        end.on_batch, end.on_lost = self._welcome_from(self._session), self.on_stream_lost
        if self._worker is not None:
            del self._worker.attempts[:]
            self._worker.attempts.extend(self._owner.names())
        hello = Hello(
            protocol=PROTOCOL_VERSION, session=self._session, received=self.link.received, worker=self._worker
        )
        end.write(Frames(frames=[Frame(hello=hello)]).SerializeToString())
        self._world.schedule.after(HANDSHAKE_S, lambda: self._hurry(end))

    def leave(self) -> None:
        """Say goodbye behind what is queued; the hub ends the session when it hears it. Idempotent."""
        if not self.has_left and self.link.state is LinkState.OPEN:
            self.link.say_goodbye(Goodbye.REASON_DONE, "")
        else:
            self.vanish()
        self.has_left = True

    def vanish(self) -> None:
        """Be gone without a word, as a process that is killed. Idempotent."""
        self.has_left = True
        if self._dialled is not None:
            self._dialled.close()
        if self._pump is not None:
            self._pump.stop()
        self._dialled = self._pump = None
        self.link.close()

    # --- the pump's keeper --------------------------------------------------------------------------------------------

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Pass frames to the owner."""
        self._owner.on_frames(frames)

    def on_goodbye(self) -> None:
        """The hub has ended the session."""
        self.on_stream_lost()
        self._lose_session()

    def on_stream_lost(self) -> None:
        """Wait for the grace period to end, and dial meanwhile."""
        if self._pump is not None:
            self._pump.stop()
        self._dialled = self._pump = None
        if self.link.state is LinkState.OPEN:
            self.link.suspend()
            self._drops += 1
            session, drops = self._session, self._drops
            self._world.schedule.after(self._world.profile.grace_s, lambda: self._give_up(session, drops))
        self._redial()

    # --- sessions -----------------------------------------------------------------------------------------------------

    def _redial(self) -> None:
        if not self.has_left:
            self._world.schedule.soon(REDIAL_MEAN_S, self.dial)

    def _hurry(self, end: StreamEnd) -> None:
        """Give a handshake up that takes too long."""
        if self._dialled is end and self._pump is None:
            end.close()
            self.on_stream_lost()

    def _welcome_from(self, session: bytes) -> Callable[[bytes], None]:
        def on_batch(batch: bytes) -> None:
            (frame,) = Frames.FromString(batch).frames
            assert self._dialled is not None
            if session != self._session:
                # The session was given up while the hand was being shaken.
                self._dialled.close()
                self.on_stream_lost()
            else:
                self._take_welcome(frame.welcome, self._dialled)

        return on_batch

    def _take_welcome(self, welcome: Welcome, end: StreamEnd) -> None:
        if welcome.resumed:
            self.link.resume(welcome.received)
        else:
            self._lose_session()
            if self.has_left:
                return
            self._session, self._sent = welcome.session, 0
            self.link.establish()
            self._owner.on_session()
        self._pump = SimPump(self._world, self.link, end, self, self._note_sent)

    def _note_sent(self, batch: Frames) -> None:
        """Tell the owner what leaves for the first time, and not again."""
        if batch.seq > self._sent:
            self._sent = batch.seq
            self._owner.on_sent(batch.frames)

    def _give_up(self, session: bytes, drops: int) -> None:
        """End a session whose link has been away for too long."""
        if self._session == session and self._drops == drops and self.link.state is LinkState.SUSPENDED:
            self._lose_session()

    def _lose_session(self) -> None:
        if not self._session:
            return
        self._session = b""
        unsent = self.link.take_unsent_calls()
        self.link.close()
        self.link = Link()
        self._owner.on_session_lost(unsent)
