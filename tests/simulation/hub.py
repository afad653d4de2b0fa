"""What the hub's shell does round the switchboard: sessions, resumption, and the clock."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from portcall.core.attempts import AttemptSwitchboard
from portcall.core.calls import ClientPort, WorkerPort
from portcall.protos.link_rules import PROTOCOL_VERSION, singly
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames, Hello, Welcome
from portcall.wire.link import Link, LinkState

from .attempts import SimJobs
from .network import Stream, StreamEnd
from .pumping import SimPump

if TYPE_CHECKING:
    from .world import World


class SimSession:
    """One link's life at the hub, over as many streams as it takes."""

    def __init__(self, hub: "SimHub", token: bytes, hello: Hello) -> None:
        self._hub = hub
        self.token = token
        self.link = Link()
        self.drops = 0
        self.sent = 0
        self.pump: SimPump | None = None
        name = token.decode()
        self.port: WorkerPort | ClientPort
        if hello.HasField("worker"):
            self.port = WorkerPort(hello.worker.name, self.link, hello.worker.slots)
            self.port.send = self._send_to_worker
        else:
            self.port = ClientPort(name, self.link)

    def __repr__(self) -> str:
        return f"{self.token.decode()} of {self.port.name}"

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Give frames to the switchboard."""
        now = self._hub.now
        if isinstance(self.port, WorkerPort):
            self._hub.board.from_worker(self.port, frames, now)
        else:
            self._hub.board.from_client(self.port, frames, now)
        self._hub.settle()

    def on_goodbye(self) -> None:
        """End the session."""
        self._hub.end(self)

    def on_stream_lost(self) -> None:
        """Keep the session for the grace period."""
        self._hub.suspend(self)

    def _send_to_worker(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Send what the switchboard sends, once it is sure that a call has a slot."""
        if frame.HasField("open") and not frame.open.attempt.is_adopted:
            assert isinstance(self.port, WorkerPort)
            assert self.port.free >= 0, f"{self.port.name} was given a call beyond its slots"
        self.link.send(frame, message_bytes)

    def note_sent(self, batch: Frames) -> None:
        """Enter in the ledger which calls leave the hub, each batch once."""
        if batch.seq > self.sent and isinstance(self.port, WorkerPort):
            self.sent = batch.seq
            self._hub.note_opens(batch.frames)


class SimHub:
    """A hub. After `restart` it is another one that knows nothing of what was."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._tokens = 0
        self._life = 0
        self.given_back = 0
        """Calls that lost workers gave back, unsent."""
        self._tick_at: float | None = None
        self.sessions: dict[bytes, SimSession] = {}
        self.is_up = True
        self.is_touched = True
        """The switchboard has done something since it was last looked at."""
        self.board = AttemptSwitchboard(world.profile.limits, world.schedule.now)
        self.jobs = SimJobs(world)

    @property
    def now(self) -> float:
        """Return the reading of the clock."""
        return self._world.schedule.now

    def accept(self, stream: Stream) -> None:
        """Wait for the hello of a stream."""
        end, life = stream.hub, self._life

        def on_batch(batch: bytes) -> None:
            if self.is_up and self._life == life:
                self._begin(end, Frames.FromString(batch).frames[0].hello)
            else:
                end.close()

        end.on_batch = on_batch

    def restart(self, down_s: float) -> None:
        """Die with all sessions, and come back. Until then nothing more is written down."""
        self.jobs.restart()
        for session in self.sessions.values():
            if session.pump is not None:
                session.pump.stop()
        self.sessions = {}
        self.is_up = False
        self._life += 1
        self._world.schedule.after(down_s, self._start)

    def suspend(self, session: SimSession) -> None:
        """Note that a session has no stream now."""
        if session.pump is not None:
            session.pump.stop()
            session.pump = None
        if session.link.state is not LinkState.OPEN:
            return
        session.link.suspend()
        if isinstance(session.port, WorkerPort):
            self.board.suspend_worker(session.port, self.now)
            self.settle()
        session.drops += 1
        drops = session.drops
        self._world.schedule.after(self._world.profile.grace_s, lambda: self._give_up(session, drops))

    def end(self, session: SimSession) -> None:
        """Give up what a session had under way. Idempotent."""
        if self.sessions.get(session.token) is not session:
            return
        del self.sessions[session.token]
        if session.pump is not None:
            session.pump.stop()
        unsent = session.link.take_unsent_calls()
        session.link.close()
        if isinstance(session.port, WorkerPort):
            self.given_back += len(unsent)
            self.board.remove_worker(session.port, unsent, self.now)
        else:
            self.board.remove_client(session.port)
        self.settle()

    def note_opens(self, frames: Sequence[Frame]) -> None:
        """Enter in the ledger which calls leave for a worker; attempts have a ledger of their own."""
        for frame in singly(frames):
            if frame.HasField("open") and not frame.open.HasField("attempt"):
                self._world.ledger.of(frame.open.metadata).opens_left_hub += 1

    def settle(self) -> None:
        """Note that the switchboard has done something, and wake up for its next deadline."""
        self.is_touched = True
        due = self.board.next_tick
        if due is not None and (self._tick_at is None or due < self._tick_at):
            self._tick_at = due
            board = self.board
            self._world.schedule.after(max(0.0, due - self.now), lambda: self._tick(board, due))

    def _tick(self, board: AttemptSwitchboard, due: float) -> None:
        if board is self.board and self._tick_at == due:
            self._tick_at = None
            board.tick(self.now)
            self.settle()

    def _start(self) -> None:
        self.is_up = True
        self._tick_at = None
        self.board = AttemptSwitchboard(self._world.profile.limits, self.now)
        self.jobs.restart()

    def _begin(self, end: StreamEnd, hello: Hello) -> None:
        """Resume the session of this hello, or begin a new one."""
        session = self.sessions.get(hello.session)
        is_resumed = session is not None
        if session is None:
            self._tokens += 1
            session = SimSession(self, b"session-%d" % self._tokens, hello)
            session.link.establish()
            self.sessions[session.token] = session
        else:
            self.suspend(session)
            session.link.resume(hello.received)
        welcome = Welcome(
            protocol=PROTOCOL_VERSION,
            session=session.token,
            resumed=is_resumed,
            received=session.link.received if is_resumed else 0,
        )
        end.write(Frames(frames=[Frame(welcome=welcome)]).SerializeToString())
        session.pump = SimPump(self._world, session.link, end, session, session.note_sent)
        self._tell_board(session, hello, is_resumed=is_resumed)

    def _tell_board(self, session: SimSession, hello: Hello, *, is_resumed: bool) -> None:
        if isinstance(session.port, WorkerPort):
            if is_resumed:
                self.board.resume_worker(session.port, self.now)
            else:
                self.jobs.take_held(session.port, [(one.job, one.number) for one in hello.worker.attempts])
                methods = [method.name for service in hello.worker.contract.services for method in service.methods]
                self.board.add_worker(session.port, methods, self.now)
            self.settle()

    def _give_up(self, session: SimSession, drops: int) -> None:
        """End a session whose link has been away for too long."""
        if session.drops == drops and session.link.state is LinkState.SUSPENDED:
            self.end(session)
