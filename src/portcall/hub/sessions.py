"""The links that come to the hub: handshakes, sessions, resumption, and what their frames mean to the switchboard."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import grpc
from google.protobuf.message import DecodeError

from portcall._version import __version__
from portcall.contract.contract import parse_contract
from portcall.core.calls import ClientPort, WorkerPort
from portcall.core.switchboard import SLOTS_MAX
from portcall.errors import ProtocolError
from portcall.hub.board import Board
from portcall.hub.config import HubConfig
from portcall.hub.fleet import Fleet
from portcall.hub.guard import Guard
from portcall.hub.jobs.hosting import HubJobs
from portcall.hub.tokens import Refusal, Role, Token
from portcall.protos.link_rules import PROTOCOL_VERSION
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames, Goodbye, Hello, Welcome
from portcall.wire.limits import Liveness
from portcall.wire.link import Link, LinkState, goodbye_batch
from portcall.wire.pump import STREAM_ERRORS, PeerLeftError, PeerNotReadingError, Pump, StreamLostError

logger = logging.getLogger("portcall.hub")

HELLO_S = 10.0
"""How long a stream may take to say hello."""

SAY_S = 2.0
"""How long a peer may take to let a batch of the handshake, or a goodbye, pass."""

NAME_CHARACTERS_MAX = 200

REVOKED = "the token that the link came with is no longer good for it"

PROBE_S_MAX = 86_400.0
PROBE_LIVENESS = Liveness(ping_interval_s=PROBE_S_MAX, pings_missed_max=0)
"""A probe's stream is not pinged, and lasts a day at most."""

ServerContext: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


class Session:
    """One link's life at the hub, over as many streams as it takes."""

    __slots__ = (
        "_board",
        "_fleet",
        "access_token",
        "dropped",
        "grace_timer",
        "is_revoked",
        "link",
        "port",
        "task",
        "token",
    )

    def __init__(self, token: bytes, link: Link, port: WorkerPort | ClientPort, board: Board, fleet: Fleet) -> None:
        self.token = token
        self.link = link
        self.port = port
        self._board = board
        self._fleet = fleet
        self.task: asyncio.Task[object] | None = None
        """Serves the stream that the link runs on; None while there is none."""
        self.dropped: asyncio.Future[None] | None = None
        """Set while another stream waits for this one to let go of the link."""
        self.grace_timer: asyncio.TimerHandle | None = None
        self.access_token: Token | None = None
        """The token that its last stream came with, where the hub wants one."""
        self.is_revoked = False
        """Set when that token is no longer good for this."""

    @property
    def role(self) -> Role:
        """Return what is at the other end."""
        return Role.WORKER if isinstance(self.port, WorkerPort) else Role.CLIENT

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Pass what arrived to the switchboard."""
        if isinstance(self.port, WorkerPort):
            if not (frames[0].call_id or frames[0].HasField("ends")):
                frames = self._take_reports(self.port, frames)
            was_draining = self.port.is_draining
            self._board.from_worker(self.port, frames)
            if self.port.is_draining is not was_draining:
                self._fleet.note_change()
        else:
            self._board.from_client(self.port, frames)

    def _take_reports(self, port: WorkerPort, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Keep what a worker says of its processes; return what is the switchboard's. Reports stand before calls."""
        for frame in frames:
            if not frame.call_id and frame.HasField("report"):
                self._fleet.note_report(port, frame.report, self._board.now)
        return [frame for frame in frames if frame.call_id or not frame.HasField("report")]

    def suspend(self) -> None:
        """Note that the stream is gone."""
        self.link.suspend()
        if isinstance(self.port, WorkerPort):
            self._board.suspend_worker(self.port)
            self._fleet.note_change()

    def resume(self, received: int) -> None:
        """Note that the other side is back, with all batches up to `received`.

        Raises:
            ProtocolError: it cannot have those; the session goes on waiting for one that can, for as long as it may.
        """
        self.link.resume(received)
        if self.grace_timer is not None:
            self.grace_timer.cancel()
            self.grace_timer = None
        if isinstance(self.port, WorkerPort):
            self._board.resume_worker(self.port)
            self._fleet.note_change()

    def end(self) -> None:
        """Give up what this session had under way."""
        if self.grace_timer is not None:
            self.grace_timer.cancel()
        unsent = self.link.take_unsent_calls()
        self.link.close()
        if isinstance(self.port, WorkerPort):
            self._fleet.remove(self.port)
            self._board.remove_worker(self.port, unsent)
        else:
            self._board.remove_client(self.port)


class Sessions:
    """The handlers of `portcall.v1.Hub`, and every session that lives."""

    def __init__(
        self, config: HubConfig, board: Board, fleet: Fleet, jobs: HubJobs, guard: Guard | None = None
    ) -> None:
        self._jobs = jobs
        self._guard = guard
        if guard is not None:
            guard.on_change(self._end_revoked)
        self._config = config
        self._board = board
        self._fleet = fleet
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the service for a `grpc.aio.Server`. Messages stay bytes; the link parses them."""
        return grpc.method_handlers_generic_handler(
            "portcall.v1.Hub",
            {
                "Attach": grpc.stream_stream_rpc_method_handler(self._serve_as(Role.WORKER)),
                "Session": grpc.stream_stream_rpc_method_handler(self._serve_as(Role.CLIENT)),
            },
        )

    def say_goodbye(self) -> None:
        """Tell every link that the hub goes away; each ends when its peer has heard it."""
        for session in self._sessions.values():
            session.link.say_goodbye(Goodbye.REASON_DONE, "the hub is shutting down")

    def close(self) -> None:
        """End every session. Idempotent."""
        for session in list(self._sessions.values()):
            self._end(session)

    def _serve_as(self, role: Role) -> Callable[[object, ServerContext], Awaitable[None]]:
        async def serve(_: object, context: ServerContext) -> None:
            await self._serve(role, context)

        return serve

    async def _serve(self, role: Role, context: ServerContext) -> None:
        """Serve one stream from its hello to its end."""
        access_token = await self._admit(role, context)
        try:
            async with asyncio.timeout(HELLO_S):
                hello = await _read_hello(context)
            if hello.is_probe:
                await self._serve_probe(hello, context)
                return
            session, welcome = await self._begin(role, hello, context.peer())
        except TimeoutError:
            await _say(context, goodbye_batch(Goodbye.REASON_REFUSED, f"no hello came within {HELLO_S:g} s"))
            return
        except ProtocolError as error:
            logger.warning("Refused a %s at %s: %s", role.value, context.peer(), error)
            await _say(context, goodbye_batch(Goodbye.REASON_REFUSED, str(error)))
            return
        task = session.task = asyncio.current_task()
        assert task is not None
        session.access_token = access_token
        self._check_token(session)
        try:
            await self._pump(session, welcome, context)
        except asyncio.CancelledError:
            if session.dropped is None and not session.is_revoked:
                raise
            task.uncancel()
        finally:
            is_superseded = self._note_drop(session)
        if session.is_revoked:
            await _say(context, goodbye_batch(Goodbye.REASON_REFUSED, REVOKED))
        elif is_superseded:
            await _say(context, goodbye_batch(Goodbye.REASON_SUPERSEDED, "the session goes on on another stream"))

    async def _admit(self, role: Role, context: ServerContext) -> Token | None:
        """Return the token that a stream comes with, if the hub wants one; else this does not return."""
        if self._guard is None:
            return None
        verdict = self._guard.judge(role, tuple(context.invocation_metadata() or ()))
        if isinstance(verdict, Refusal):
            await self._guard.refuse(verdict, f"a {role.value}'s link", context)
        return verdict.token

    def _check_token(self, session: Session) -> None:
        """End a session whose token is no longer good for it."""
        token = session.access_token
        if self._guard is None or token is None or self._guard.still_admits(token, session.role):
            return
        logger.warning("The token '%s' is no longer good for %s: ended its link", token.name, session.port.name)
        session.is_revoked = True
        self._end(session)
        if session.task is not None:
            session.task.cancel()

    def _end_revoked(self) -> None:
        for session in list(self._sessions.values()):
            self._check_token(session)

    async def _serve_probe(self, hello: Hello, context: ServerContext) -> None:
        """Say what a link would be told, and answer pings."""
        _check_protocol(hello)
        link = Link()
        link.establish()
        with contextlib.suppress(StreamLostError, PeerLeftError, ProtocolError):
            await Pump(link, context, _no_frames, PROBE_LIVENESS, first=_batch_of(self._welcome())).run()

    async def _pump(self, session: Session, welcome: Welcome, context: ServerContext) -> None:
        """Run the link on this stream until either is over; end the session if that is.

        The welcome is the pump's to write, however long that takes on a busy machine: on a stream whose write was cut
        off nothing can be said any more, and the other side does not even hear that it has ended.
        """
        try:
            # A worker's link is bounded by its slots and the credit of their calls; a client's by nothing of the kind.
            bytes_max = self._config.link_bytes_max if session.role is Role.CLIENT else None
            liveness, first = self._config.liveness, _batch_of(welcome)
            await Pump(session.link, context, session.on_frames, liveness, bytes_max, first).run()
        except StreamLostError as error:
            logger.info("Link of %s dropped: %s", session.port.name, error)
        except PeerLeftError:
            self._end(session)
        except (ProtocolError, PeerNotReadingError) as error:
            logger.warning("Ended the link of %s: %s", session.port.name, error)
            self._end(session)
            is_unread = isinstance(error, PeerNotReadingError)
            reason = Goodbye.REASON_NOT_READING if is_unread else Goodbye.REASON_PROTOCOL_ERROR
            await _say(context, goodbye_batch(reason, str(error)))

    async def _begin(self, role: Role, hello: Hello, peer: str) -> tuple[Session, Welcome]:
        """Return the session that this hello resumes, or a new one."""
        _check_protocol(hello)
        session = self._sessions.get(hello.session)
        if session is not None and session.role is role:
            await self._supersede(session)
            if session.link.state is LinkState.SUSPENDED:
                session.resume(hello.received)
                return session, self._welcome(session, is_resumed=True)
        if len(self._sessions) >= self._config.links_max:
            raise ProtocolError(f"{len(self._sessions)} links are here already; no more may be (links_max)")
        session = self._new_session(role, hello, peer)
        return session, self._welcome(session, is_resumed=False)

    async def _supersede(self, session: Session) -> None:
        """End the stream that a session still has, since its peer has come on another."""
        if session.task is None:
            return
        if session.dropped is None:
            session.dropped = asyncio.get_running_loop().create_future()
            session.task.cancel()
        await asyncio.shield(session.dropped)

    def _new_session(self, role: Role, hello: Hello, peer: str) -> Session:
        link = Link()
        port: WorkerPort | ClientPort
        if role is Role.WORKER:
            said = hello.worker
            if not 0 < said.slots <= SLOTS_MAX:
                raise ProtocolError(f"a worker with {said.slots} slots; it should be 1 to {SLOTS_MAX}")
            held = list(dict.fromkeys((attempt.job, attempt.number) for attempt in said.attempts))
            if not all(job and number for job, number in held):
                raise ProtocolError("a worker that holds an attempt at job 0, or number 0: both begin at 1")
            contract = self._fleet.registry.add(parse_contract(said.contract), keep=self._fleet.fingerprints)
            port = WorkerPort(said.name[:NAME_CHARACTERS_MAX] or peer, link, said.slots)
            self._fleet.add(port, contract, said.environment, self._board.now)
            self._jobs.know(contract, port.name)
            if said.attempts:
                self._board.take_held(port, held)
            self._board.add_worker(port, contract.kinds)
        else:
            port = ClientPort(peer, link)
        session = Session(secrets.token_bytes(16), link, port, self._board, self._fleet)
        link.establish()
        self._sessions[session.token] = session
        logger.info("A %s attached: %s", role.value, port.name)
        return session

    def _welcome(self, session: Session | None = None, *, is_resumed: bool = False) -> Welcome:
        return Welcome(
            protocol=PROTOCOL_VERSION,
            session=None if session is None else session.token,
            resumed=is_resumed,
            received=session.link.received if session is not None and is_resumed else 0,
            grace_ms=int(self._config.grace_s * 1e3),
            message_bytes_max=self._config.message_bytes_max,
            agent=f"portcall-hub/{__version__}",
            ping_interval_ms=int(self._config.liveness.ping_interval_s * 1e3),
            takes_reports=True,
        )

    def _note_drop(self, session: Session) -> bool:
        """Keep the session for the grace period, unless it is over; return whether another stream waits for it."""
        session.task = None
        if session.link.state is LinkState.OPEN:
            session.suspend()
            loop = asyncio.get_running_loop()
            session.grace_timer = loop.call_later(self._config.grace_s, self._end, session)
        dropped, session.dropped = session.dropped, None
        if dropped is None:
            return False
        dropped.set_result(None)
        return True

    def _end(self, session: Session) -> None:
        if self._sessions.pop(session.token, None) is not None:
            logger.info("%s left: %s", session.role.value.capitalize(), session.port.name)
            session.end()


async def _say(context: ServerContext, batch: bytes) -> None:
    """Send a batch by hand. A peer that is gone does not need it, and one that does not read cannot have it."""
    with contextlib.suppress(*STREAM_ERRORS, TimeoutError):
        async with asyncio.timeout(SAY_S):
            await context.write(batch)


def _batch_of(welcome: Welcome) -> bytes:
    return Frames(frames=[Frame(welcome=welcome)]).SerializeToString()


def _no_frames(_: Sequence[Frame]) -> None:
    raise ProtocolError("a probe has no calls")


def _check_protocol(hello: Hello) -> None:
    if hello.protocol != PROTOCOL_VERSION:
        raise ProtocolError(
            f"the hello speaks version {hello.protocol} of the link, this hub speaks {PROTOCOL_VERSION};"
            f" use the same Portcall version on both sides (the hub has {__version__})"
        )


async def _read_hello(context: ServerContext) -> Hello:
    batch = await context.read()
    if not isinstance(batch, bytes):
        raise ProtocolError("the stream ended before it said hello")
    try:
        frames = Frames.FromString(batch).frames
    except DecodeError:
        raise ProtocolError("the first message is not a portcall.v1.Frames message") from None
    if len(frames) != 1 or not frames[0].HasField("hello"):
        raise ProtocolError("the first batch of a link must be one hello and nothing else")
    return frames[0].hello
