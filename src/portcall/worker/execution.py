"""Runs the calls that come to a worker.

Theory of operation. A slot is a task. Calls wait in a backlog, which the worker's slots bound; runners, one task for
each call that is under way, take them from there. A handler that never waits for anything is run to its end in the
runner's stride, so a burst of a hundred such calls costs one task and no turn of the event loop. When a handler does
wait, another runner goes on with the backlog. Each call runs in a copy of the context variables, as it would in a task
of its own.

Calls begin in the order of their ids, and the id of the last one that has begun is written down before its handler is
entered. Where that is memory of another process too, whoever sent the calls knows after any death which of them can be
sent elsewhere: those above.
"""

import asyncio
import contextvars
import logging
import types
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from functools import partial
from typing import Any, Protocol

import grpc

from portcall.errors import ProtocolError
from portcall.protos.link_rules import fault_of_attempts, fault_of_many
from portcall.protos.portcall.v1.link_pb2 import Frame, Open, Opens, Welcome
from portcall.wire.caller import ServingSink
from portcall.wire.current import set_current_job
from portcall.wire.limits import MESSAGE_BYTES_MAX
from portcall.wire.link import Link
from portcall.worker.attempts import AttemptContext
from portcall.worker.context import CANCELLED, BlockingContext, CallContext, RequestIterator
from portcall.worker.handlers import CallDetails, Method, Methods
from portcall.worker.holding import Holding
from portcall.worker.threads import DaemonThreads

logger = logging.getLogger("portcall.worker")

STRIDE_S = 0.002
"""How long a runner goes on without a turn of the event loop."""

STUBBORN_S = 10.0
"""A cancelled call that goes on for longer than this is named in the log."""


@types.coroutine
def _drive(coroutine: Coroutine[Any, Any, Any], run: Callable[..., Any], waited_for: Any) -> Generator[Any, Any, Any]:
    """Run a coroutine to its end in a context of its own, inside the task that awaits this.

    This is what a task does, without the task: `run` is a `contextvars.Context.run`, and `waited_for` what the
    coroutine's first step has yielded.
    """
    while True:
        try:
            value = yield waited_for
        except BaseException as error:  # noqa: BLE001  # it is the coroutine's to handle
            step: Callable[[], Any] = partial(run, coroutine.throw, error)
        else:
            step = partial(run, coroutine.send, value)
        try:
            waited_for = step()
        except StopIteration as stop:
            return stop.value


class BegunMark(Protocol):
    """A place for one number; a list of one is, and so is shared memory."""

    def __setitem__(self, index: int, call_id: int, /) -> None:
        """Write at index 0."""


class _Session:
    """Calls that came on one link."""

    __slots__ = ("calls", "id_last", "link")

    def __init__(self, link: ServingSink) -> None:
        self.link = link
        self.calls: dict[int, CallContext] = {}
        self.id_last = 0

    def pass_id(self, call_id: int) -> None:
        """Note that a call was opened under this id."""
        if call_id <= self.id_last:
            raise ProtocolError(f"call {call_id} opened after call {self.id_last}: ids must rise")
        self.id_last = call_id


class Execution:
    """All calls of one worker. `begun` is told the id of each call before its handler is entered.

    With `keeps_attempts`, attempts at jobs outlive the sessions that they came in. A process of a supervisor leaves
    that to the supervisor.
    """

    def __init__(
        self, methods: Methods, slots: int, begun: BegunMark | None = None, *, keeps_attempts: bool = False
    ) -> None:
        self._methods = methods
        self._begun = [0] if begun is None else begun
        self._slots = slots
        self._session = _Session(Link())
        self.holding = Holding(self._take_attempts)
        """Stands between the link and the attempts, where they are kept."""
        self._keeps_attempts = keeps_attempts
        self._attempts = _Session(self.holding)
        self._backlog: deque[CallContext] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._runners: set[asyncio.Task[None]] = set()
        self._threads = DaemonThreads()
        self.message_bytes_max = MESSAGE_BYTES_MAX
        """Largest message of the calls to come, either way."""
        self._quiet: asyncio.Future[None] | None = None

    @property
    def calls_count(self) -> int:
        """Return how many calls run or are about to."""
        return len(self._session.calls) + len(self._attempts.calls)

    def begin_session(self, link: Link, welcome: Welcome) -> None:
        """Serve the calls of a new session."""
        self._session, self.message_bytes_max = _Session(link), welcome.message_bytes_max
        self.holding.attach(link)

    def lose_session(self) -> None:
        """Cancel the calls of the session, since nobody waits for them any more. Attempts go on."""
        for call in list(self._session.calls.values()):
            call.cancel()
        self.holding.detach()

    def cancel_all(self) -> None:
        """Cancel every call and attempt."""
        for call in (*self._session.calls.values(), *self._attempts.calls.values()):
            call.cancel()

    def hand_back(self) -> None:
        """Give back attempts that have not begun, for another worker to run them."""
        for call in list(self._backlog):
            if isinstance(call, AttemptContext):
                self._backlog.remove(call)
                call.hand_back()
        self._note_quiet()

    async def wait_quiet(self) -> None:
        """Wait until no call is under way."""
        while self.calls_count:
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    async def close(self) -> None:
        """Stop the runners. A blocking handler that still runs is left to end with the process."""
        for runner in self._runners:
            runner.cancel()
        if self._runners:
            await asyncio.wait(self._runners, timeout=1.0)
        self._threads.close()

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Take frames of the hub.

        Raises:
            ProtocolError: the hub broke the link's rules.
        """
        self._take(self._session, frames)

    def _take_attempts(self, frames: Sequence[Frame]) -> None:
        """Take frames of attempts, from what keeps them."""
        self._take(self._attempts, frames)

    def _take(self, session: _Session, frames: Sequence[Frame]) -> None:
        calls = session.calls
        now = asyncio.get_running_loop().time()
        for frame in frames:
            call_id = frame.call_id
            call = calls.get(call_id)
            if call is not None:
                call.on_frame(frame)
            elif frame.HasField("opens"):
                self._take_opens(session, frame.opens, now)
            elif frame.HasField("open"):
                self._take_open(session, frame, now)
            elif not 0 < call_id <= session.id_last or self._keeps_attempts:
                self._take_stray(session, frame)
        if self._backlog:
            self._rouse()

    def _take_opens(self, session: _Session, opens: Opens, now: float) -> None:
        if fault := fault_of_many(opens):
            raise ProtocolError(fault)
        shared = opens.shared
        if not opens.jobs:
            for call_id, message in zip(opens.call_ids, opens.messages, strict=True):
                self._enter(session, call_id)
                call = CallContext(call_id, shared, message, session.link, session.calls, self.message_bytes_max, now)
                call.is_half_closed = True
                session.calls[call_id] = call
                self._backlog.append(call)
            return
        if fault := fault_of_attempts(opens):
            raise ProtocolError(fault)
        if self._keeps_attempts and session is self._session:
            for call_id in opens.call_ids:
                session.pass_id(call_id)
            self.holding.take_opens(opens)
            return
        columns = zip(opens.call_ids, opens.messages, opens.jobs, opens.attempts, strict=True)
        for call_id, message, job, number in columns:
            self._begin_attempt(session, call_id, shared, message, now, job, number).is_half_closed = True

    def _take_open(self, session: _Session, frame: Frame, now: float) -> None:
        call_id, opening = frame.call_id, frame.open
        request = opening.message if opening.HasField("message") else None
        call: CallContext
        if not opening.HasField("attempt"):
            self._enter(session, call_id)
            call = CallContext(call_id, opening, request, session.link, session.calls, self.message_bytes_max, now)
            session.calls[call_id] = call
            self._backlog.append(call)
        elif self._keeps_attempts and session is self._session:
            session.pass_id(call_id)
            self.holding.take_open(frame)
            return
        else:
            attempt = opening.attempt
            call = self._begin_attempt(session, call_id, opening, request, now, attempt.job, attempt.number)
        if opening.half_close:
            call.is_half_closed = True
        else:
            call.begin_reading()

    def _enter(self, session: _Session, call_id: int) -> None:
        """Check that one more call may be opened."""
        if len(session.calls) >= self._slots:
            raise ProtocolError(f"call {call_id} opened where all {self._slots} slots are taken")
        session.pass_id(call_id)

    def _begin_attempt(
        self,
        session: _Session,
        call_id: int,
        opening: Open,
        request: bytes | None,
        now: float,
        job: int,
        number: int,
    ) -> CallContext:
        """Put an attempt into the backlog.

        Those that an earlier session has left may be more than there are slots; what is too much waits there.
        """
        session.pass_id(call_id)
        calls, size = session.calls, self.message_bytes_max
        call = calls[call_id] = AttemptContext(call_id, opening, request, session.link, calls, size, now, job, number)
        self._backlog.append(call)
        return call

    def _take_stray(self, session: _Session, frame: Frame) -> None:
        """Take a frame that belongs to no call of the session."""
        call_id = frame.call_id
        if self._keeps_attempts:
            if session is self._attempts or self.holding.take(frame):
                return
        elif not call_id and frame.HasField("drain"):
            self.hand_back()
            return
        if not 0 < call_id <= session.id_last:
            raise ProtocolError(f"a frame for call {call_id}, which was never opened")

    def _rouse(self) -> None:
        """Let one more runner take calls."""
        if self._idle:
            future = self._idle.pop()
            if not future.done():
                future.set_result(None)
        elif len(self._runners) < self._slots:
            runner = asyncio.get_running_loop().create_task(self._run(), name="portcall-slot")
            self._runners.add(runner)
            runner.add_done_callback(self._note_runner_end)

    def _note_runner_end(self, runner: asyncio.Task[None]) -> None:
        self._runners.discard(runner)
        if not runner.cancelled() and (error := runner.exception()) is not None:
            logger.error("A slot failed in a way that it should not", exc_info=error)
            if self._backlog:
                self._rouse()

    async def _run(self) -> None:
        """Take calls as long as there are any; then wait for more."""
        loop = asyncio.get_running_loop()
        backlog, begun = self._backlog, self._begun
        runner = asyncio.current_task()
        assert runner is not None
        while True:
            turn_at = loop.time() + STRIDE_S
            while backlog:
                call = backlog.popleft()
                begun[0] = call.call_id
                method = self._methods.get(call.opening.method)
                call.on_cancel = runner.cancel
                try:
                    if method is None or not method.is_simple or call.is_reading:
                        await self._serve(call, method)
                    elif (rest := self._begin_simple(call, method)) is not None:
                        await call.end_with_reply(await rest)
                except BaseException as error:  # noqa: BLE001  # whatever it is, the call has to end
                    self._end_failed(call, error, runner)
                call.on_cancel = None
                if self._quiet is not None:
                    self._note_quiet()
                if backlog and loop.time() > turn_at:
                    await asyncio.sleep(0)
                    turn_at = loop.time() + STRIDE_S
            idle = loop.create_future()
            self._idle.append(idle)
            await idle

    def _begin_simple(self, call: CallContext, method: Method) -> Awaitable[Any] | None:
        """Begin a unary call whose request is at hand: the case that has to be fast.

        Returns:
            None if the handler never waited, and the call is over; else what its reply comes from.
        """
        if call.is_given_up:
            raise asyncio.CancelledError
        call.method = method
        run = contextvars.copy_context().run
        if isinstance(call, AttemptContext):
            run(set_current_job, call)
        coroutine = method.behavior(method.deserialize(call.request or b""), call)
        try:
            waited_for = run(coroutine.send, None)
        except StopIteration as stop:
            if call.end_at_once(stop.value):
                return None
            return _value(stop.value)
        self._on_wait(call)
        return _drive(coroutine, run, waited_for)

    async def _serve(self, call: CallContext, method: Method | None) -> None:
        """Serve a call of any kind, its interceptors included, in a context of its own."""
        if call.is_given_up:
            raise asyncio.CancelledError
        run = contextvars.copy_context().run
        if isinstance(call, AttemptContext):
            run(set_current_job, call)
        body = self._body(call, method)
        try:
            waited_for = run(body.send, None)
        except StopIteration:
            return
        self._on_wait(call)
        await _drive(body, run, waited_for)

    def _on_wait(self, call: CallContext) -> None:
        """A handler waits for the first time: watch its deadline, and let another runner take the backlog."""
        call.watch_deadline()
        if self._backlog:
            self._rouse()

    def _end_failed(self, call: CallContext, error: BaseException, runner: asyncio.Task[None]) -> None:
        """End a call whose handler raised."""
        if isinstance(error, grpc.aio.AbortError):
            call.end()
        elif isinstance(error, asyncio.CancelledError):
            self._end_cancelled(call, runner)
        elif isinstance(error, Exception):
            if not call.is_given_up:
                name = type(error).__name__
                logger.error(
                    "Unexpected [%s] raised by servicer method [%s]", name, call.opening.method, exc_info=error
                )
            call.end_unexpected(error)
        else:
            call.end_unexpected(error)
            raise error

    def _end_cancelled(self, call: CallContext, runner: asyncio.Task[None]) -> None:
        is_asked = call.is_given_up
        if call.is_overdue:
            call.fail(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        else:
            call.fail(CANCELLED, "Cancelled on the server side" if not is_asked else "")
        if not is_asked and runner.cancelling():
            raise asyncio.CancelledError
        while runner.cancelling():
            runner.uncancel()

    async def _body(self, call: CallContext, method: Method | None) -> None:
        """Find the handler, if that is not done, and run it to the end of its call."""
        if method is None:
            method = await self._methods.find(CallDetails(call.opening.method, call.invocation_metadata()))
        if method is None:
            call.fail(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
            return
        call.method = method
        if method.kind.client_streaming and isinstance(call, AttemptContext):
            call.fail(grpc.StatusCode.UNIMPLEMENTED, "A job has one request, and this method takes a stream of them")
            return
        if method.kind.client_streaming:
            if not call.is_reading:
                call.begin_reading()
            request: Any = RequestIterator(call)
        else:
            message = (call.request or b"") if not call.is_reading else await call.read_bytes()
            if message is None:
                call.fail(grpc.StatusCode.INTERNAL, "The caller sent no request")
                return
            request = method.deserialize(message)
        if not method.is_async:
            await self._run_blocking(call, method, request)
        elif method.is_generator:
            await _write_all(call, method.behavior(request, call))
        elif method.kind.server_streaming:
            await method.behavior(request, call)
            call.end()
        else:
            await call.end_with_reply(await method.behavior(request, call))

    async def _run_blocking(self, call: CallContext, method: Method, request: Any) -> None:
        """Run a blocking handler in a thread; its slot is free when the thread has returned."""
        context = BlockingContext(call, asyncio.get_running_loop())
        argument = context.requests() if method.kind.client_streaming else request

        def serve() -> Any:
            reply = method.behavior(argument, context)
            if not method.kind.server_streaming:
                return reply
            for message in reply:
                if not context.is_active():
                    break
                context.write(message)
            return None

        reply = await self._threads.run(partial(contextvars.copy_context().run, serve))
        if method.kind.server_streaming:
            call.end()
        else:
            await call.end_with_reply(reply)

    def _note_quiet(self) -> None:
        """Let go whoever waits for quiet, if it is."""
        if self._quiet is not None and not self.calls_count:
            if not self._quiet.done():
                self._quiet.set_result(None)
            self._quiet = None


async def _value(value: Any) -> Any:
    return value


async def _write_all(call: CallContext, replies: AsyncIterator[Any]) -> None:
    """Send what an asynchronous generator yields, and close it whatever happens."""
    try:
        async for reply in replies:
            await call.write(reply)
        call.end()
    finally:
        close = getattr(replies, "aclose", None)
        if close is not None:
            await close()
