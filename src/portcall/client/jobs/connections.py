"""The way to the hub's service for jobs: one gRPC connection, proved before it is used, replaced when it fails.

No channel is trusted to heal itself. A connection is proved by an empty question: a failure before that is known to
have sent nothing. A connection that has failed is left to those who still use it, and the next user gets a new one.

A process that forks has to let go of gRPC first, and gRPC stays for as long as one of its calls is held. So those who
follow a stream hold a `Stream`, which can be taken its call away while nobody reads.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self, TypeVar
from weakref import WeakSet

import grpc

from portcall.client.jobs.errors import HubLostError, reason_told
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.access import Access
from portcall.wire.diagnosis import explain, reason
from portcall.wire.dialer import Backoff
from portcall.wire.native import open_aio_channel
from portcall.wire.pump import is_reason_lost

PROOF_S: Final = 10.0
"""How long a hub may take to answer the empty question."""

PATIENCE_S: Final = 30.0
"""How long a hub may be away before what was asked of it fails, unless the caller says otherwise."""

CALL_S_MIN: Final = 1.0
"""What a call has at least, however much of that is left."""

SUSPEND_S: Final = 0.3
"""How long `suspend` waits for answers that are under way. What is not answered by then may have to be asked again."""

FINAL: Final = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.CANCELLED,
    }
)
"""Statuses that another attempt would not change."""

LOST: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED})
"""Statuses of a hub that is gone, or that is going: gRPC's server ends what it has CANCELLED then."""

CLOSED: Final = "Channel closed!"
GIVEN_UP: Final = "The connection was given up"

OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Or the new connection would share the old one, and its back-off.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)

T = TypeVar("T")


class JobsService:
    """The methods of `portcall.v1.Jobs` on a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        def unary(name: str, reply: Any) -> Any:
            return channel.unary_unary(f"/portcall.v1.Jobs/{name}", _serialized, reply.FromString)

        def stream(name: str, reply: Any) -> Any:
            return channel.unary_stream(f"/portcall.v1.Jobs/{name}", _serialized, reply.FromString)

        self.submit = unary("Submit", pb.SubmitReply)
        self.get = unary("Get", pb.GetReply)
        self.list = unary("List", pb.ListReply)
        self.cancel = unary("Cancel", pb.CancelReply)
        self.retry = unary("Retry", pb.RetryReply)
        self.purge = unary("Purge", pb.PurgeReply)
        self.put_schedule = unary("PutSchedule", pb.Schedule)
        self.list_schedules = unary("ListSchedules", pb.ListSchedulesReply)
        self.trigger_schedule = unary("TriggerSchedule", pb.SubmitReply)
        self.delete_schedule = unary("DeleteSchedule", pb.DeleteScheduleReply)
        self.watch = stream("Watch", pb.Event)
        self.read_replies = stream("ReadReplies", pb.StoredReply)
        self.wait: Any = channel.stream_stream("/portcall.v1.Jobs/Wait", _serialized, pb.WaitReply.FromString)


def _serialized(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized


class UnderWay:
    """Counts what is under way, each as a context, and knows when nothing is."""

    __slots__ = ("_count", "_is_over")

    def __init__(self) -> None:
        self._count = 0
        self._is_over = asyncio.Event()

    def __enter__(self) -> None:
        self._count += 1
        self._is_over.clear()

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count:
            self._is_over.set()

    async def over(self, timeout_s: float) -> None:
        """Return when nothing is under way, but no later than this."""
        if self._count:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._is_over.wait()


class Stream:
    """The messages of a call, which ends as a lost hub does when it is let go of."""

    __slots__ = ("__weakref__", "_call", "_under_way")

    def __init__(self, call: Any, under_way: UnderWay) -> None:
        self._call = call
        self._under_way = under_way

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._call is None:
            raise HubLostError(grpc.StatusCode.UNAVAILABLE, GIVEN_UP, was_sent=True)
        with self._under_way:
            message = await self._call.read()
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return message

    def let_go(self) -> None:
        """End the call, and hold it no longer. Idempotent."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()


class Connection:
    """A gRPC channel with the service, and how many use it."""

    __slots__ = ("_channel", "_service", "_streams", "_under_way", "is_retired", "users")

    def __init__(self, channel: grpc.aio.Channel, under_way: UnderWay) -> None:
        self._under_way = under_way
        self._channel: grpc.aio.Channel | None = channel
        self._service: JobsService | None = JobsService(channel)
        self._streams: WeakSet[Stream] = WeakSet()
        self.users = 0
        self.is_retired = False

    @property
    def is_ready(self) -> bool:
        """Whether it works, as far as gRPC knows."""
        return self._channel is not None and self._channel.get_state() is grpc.ChannelConnectivity.READY

    @property
    def service(self) -> JobsService:
        """Return the service, not to be held by what may rest while somebody else forks.

        Raises:
            HubLostError: the connection is closed.
        """
        if self._service is None:
            raise HubLostError(grpc.StatusCode.UNAVAILABLE, GIVEN_UP, was_sent=False)
        return self._service

    def follow(self, begin: Callable[[JobsService], Any]) -> Stream:
        """Begin a call and return its messages."""
        stream = Stream(begin(self.service), self._under_way)
        self._streams.add(stream)
        return stream

    async def close(self) -> None:
        """Let go of gRPC, and of all streams. Idempotent."""
        channel, self._channel, self._service = self._channel, None, None
        for stream in list(self._streams):
            stream.let_go()
        if channel is not None:
            await channel.close()


class HubConnections:
    """Lends the connection of the moment. Nothing is dialled before it is needed."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._current: Connection | None = None
        self._open: set[Connection] = set()
        self._dialling: asyncio.Lock | None = None
        self._rng = random.Random()
        self._is_closed = False
        self._may_dial = asyncio.Event()
        self._may_dial.set()
        self._answers = UnderWay()
        self._all = UnderWay()
        """What holds calls of gRPC's: answers, streams that are being read, and dialling."""

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Lend the connection.

        Raises:
            HubLostError: there is no hub to be had, or the connection fails; or the channel is closed.
        """
        connection = await self._ready()
        connection.users += 1
        try:
            yield connection
        except grpc.aio.AioRpcError as error:
            told = reason_told(error)
            if told and error.code() in LOST:
                raise HubLostError(error.code(), error.details() or "", was_sent=False, reason=told) from None
            if error.code() in LOST or is_reason_lost(error):
                self._retire(connection)
                words = f"The hub at {self._access.target} is lost: {reason(error.details() or '')}"
                raise HubLostError(grpc.StatusCode.UNAVAILABLE, words, was_sent=True) from None
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._retire(connection)
                words = f"The hub at {self._access.target} has not answered in time"
                raise HubLostError(error.code(), words, was_sent=True) from None
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                self._retire(connection)  # the token's file may have another one by now
            raise
        except asyncio.CancelledError:
            self._check_cancelled(was_sent=True)
            raise
        finally:
            connection.users -= 1
            await self._close_if_done(connection)

    async def patiently(
        self,
        act: Callable[[JobsService, float], Awaitable[T]],
        patience_s: float = PATIENCE_S,
        *,
        may_repeat: Callable[[HubLostError], bool] = lambda _: True,
    ) -> T:
        """Ask something again and again while the hub is away; what may have been sent only if that may be repeated.

        `act` gets the service and how long its call may take.

        Raises:
            grpc.aio.AioRpcError: what the hub answers, or that it was away for so long.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        backoff, attempt = Backoff(), 0
        while True:
            try:
                async with self.use() as connection:
                    with self._all, self._answers:
                        return await act(connection.service, max(CALL_S_MIN, until - loop.time()))
            except HubLostError as error:
                if error.code() in FINAL or not may_repeat(error):
                    raise
                delay_s = backoff.delay_s(attempt, self._rng)
                if loop.time() + delay_s >= until:
                    raise
                await asyncio.sleep(delay_s)
                attempt += 1

    async def suspend(self) -> None:
        """Let go of all connections; `resume` allows the next use to dial anew.

        Answers that are under way are waited for, since nobody could know of a job whose submission is broken off
        whether it is stored.
        """
        self._may_dial.clear()
        await self._answers.over(SUSPEND_S)
        await self._let_go()
        await self._all.over(SUSPEND_S)

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._may_dial.set()

    async def close(self) -> None:
        """End what is under way, and lend no more. Idempotent."""
        self._is_closed = True
        self._may_dial.set()
        await self._let_go()

    async def _let_go(self) -> None:
        self._current = None
        connections, self._open = self._open, set()
        for connection in connections:
            connection.is_retired = True
            await connection.close()

    async def _ready(self) -> Connection:
        """Return a connection that works, as far as one can know; not before one may dial."""
        if self._dialling is None:
            self._dialling = asyncio.Lock()
        async with self._dialling:
            # Here, since dialling may have been forbidden while this waited for its turn.
            await self._may_dial.wait()
            if self._is_closed:
                raise HubLostError(grpc.StatusCode.CANCELLED, CLOSED, was_sent=False)
            current = self._current
            if current is not None and current.is_ready:
                return current
            if current is not None:
                self._retire(current)
                await self._close_if_done(current)
            self._current = await self._dial()
            return self._current

    async def _dial(self) -> Connection:
        try:
            connection = Connection(open_aio_channel(self._access, OPTIONS), self._all)
        except ConfigurationError as error:
            # A file that is being replaced, or was replaced by a wrong one: it may be right the next time.
            raise HubLostError(grpc.StatusCode.UNAVAILABLE, str(error), was_sent=False) from None
        self._open.add(connection)
        is_proved = False
        try:
            with self._all:
                await connection.service.get(pb.GetRequest(), timeout=PROOF_S)
            is_proved = True
        except grpc.aio.AioRpcError as error:
            code = error.code()
            final = code if code in FINAL else grpc.StatusCode.UNAVAILABLE
            raise HubLostError(final, self._words(error), was_sent=False) from None
        except asyncio.CancelledError:
            self._check_cancelled(was_sent=False)
            raise
        finally:
            if not is_proved:
                self._open.discard(connection)
                await connection.close()
        return connection

    def _words(self, error: grpc.aio.AioRpcError) -> str:
        """Say what became of the hub, or what it says."""
        details = error.details() or ""
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return f"What answers at {self._access.target} keeps no jobs ({details}). It may be an older hub"
        words = explain(self._access, error.code(), details)
        if error.code() in FINAL:
            return details if error.code() is grpc.StatusCode.FAILED_PRECONDITION else words
        if words.startswith("UNAVAILABLE"):
            words = reason(details)
        return f"No hub answers at {self._access.target}: {words}"

    def _check_cancelled(self, *, was_sent: bool) -> None:
        """Raise the loss of the connection where that is what cancelled a call, and not its caller."""
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            code = grpc.StatusCode.CANCELLED if self._is_closed else grpc.StatusCode.UNAVAILABLE
            raise HubLostError(code, CLOSED if self._is_closed else GIVEN_UP, was_sent=was_sent)

    def _retire(self, connection: Connection) -> None:
        connection.is_retired = True
        if self._current is connection:
            self._current = None

    async def _close_if_done(self, connection: Connection) -> None:
        if connection.is_retired and not connection.users and connection in self._open:
            self._open.discard(connection)
            await connection.close()
