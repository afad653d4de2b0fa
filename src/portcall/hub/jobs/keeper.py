"""The keeper of the jobs: drives the engine, gives its batches to the store, and does what it wants done.

Theory of operation. Whatever happens (a submission, an attempt's end, a free slot, the clock) is told to the engine
at once, and a turn is due. A turn asks the engine for a batch and hands it to the store's thread; while that is being
written, all that happens gathers for the next. So one flush of the disk carries one job or thousands, and no timer
stands between a job and its flush. Everything but the store's own work is done in the event loop.
"""

import asyncio
import logging
import time
import types
from collections.abc import Callable, Sequence
from copy import copy
from random import Random
from typing import Any, Self

from portcall.contract.contract import Contract
from portcall.core.attempts import release
from portcall.core.calls import WorkerPort
from portcall.core.jobs.batch import Written
from portcall.core.jobs.dispatch import Capacity
from portcall.core.jobs.effects import Effects, StopReason, Submitted
from portcall.core.jobs.engine import JobEngine
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.requests import Request
from portcall.core.jobs.submissions import Submissions, refused
from portcall.core.jobs.verdicts import Ending
from portcall.core.refusals import UNAVAILABLE
from portcall.hub.board import Board
from portcall.hub.jobs.desk import AttemptDesk
from portcall.hub.jobs.failing import HubClosingError, reason_of
from portcall.hub.jobs.lately import FailedLately
from portcall.hub.jobs.listeners import Listeners
from portcall.hub.jobs.policies import Policies
from portcall.hub.jobs.threads import StoreThreads
from portcall.protos.portcall.v1.link_pb2 import Frame
from portcall.store.errors import StoreDamagedError, StoreError, StoreUnavailableError

logger = logging.getLogger("portcall.hub")

TROUBLE_S = 60.0
"""How often a store's trouble is told of that goes on."""

Clock = Callable[[], float]
OnAnswer = Callable[[list[Submitted]], None]
OnDone = Callable[[str], None]
"""Called with nothing when what was asked is stored, else with why it is not."""


def steady_clock() -> Clock:
    """Return a clock that says what the wall's did when this was called, and counts on from there without jumps."""
    began = time.time() - time.monotonic()
    return lambda: began + time.monotonic()


class JobKeeper:
    """Keeps the jobs of a hub. An async context manager; closing is idempotent.

    Args:
        threads: the store.
        board: where workers are.
        is_streaming: whether a method has a stream of replies.
        clock: wall-clock time in seconds, without jumps; whoever moves it calls `poke`.

    Raises on entry:
        StoreError: the store cannot be opened.
    """

    def __init__(
        self,
        threads: StoreThreads,
        board: Board,
        is_streaming: Callable[[str], bool],
        *,
        message_bytes_max: int,
        limits: JobLimits | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        self.store = threads
        self.limits = limits or JobLimits()
        self.listeners = Listeners()
        self.policies = Policies()
        self.failed_lately = FailedLately()
        self.crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Settled with an error if the keeper cannot go on, which is a defect of ours."""
        self.clock = clock or steady_clock()
        self._rng = rng or Random()
        self._board = board
        self._desk = AttemptDesk(board, self, is_streaming, message_bytes_max)
        self._loop = asyncio.get_running_loop()
        self._engine: JobEngine
        self._timer: asyncio.TimerHandle | None = None
        self._is_turn_due = False
        self._writing: asyncio.Future[Written] | None = None
        self._quiet: asyncio.Future[None] | None = None
        self._is_closed = False
        self.is_claiming = True
        """Whether jobs may start; not any more when the hub is about to stop."""
        self._trouble_at: float | None = None
        self._trouble: StoreError | None = None
        """What the store said when it could not write the last time."""
        self.backups = 0
        """How many are being made."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the store and begin."""
        try:
            stored = await self.store.open()
        except BaseException:
            self._is_closed = True
            self.crashed.cancel()
            raise
        self._engine = JobEngine(stored, self.clock(), self._rng, self.limits)
        if self._engine.running:
            logger.info(
                "%d jobs were running; their workers may bring them within %g s",
                self._engine.running,
                self.limits.adopt_s,
            )
        for name, words in self._engine.broken_schedules.items():
            logger.warning("The schedule %r cannot be used: %s", name, words)
        self.poke()

    def stop_claiming(self) -> None:
        """Start no more jobs, and keep no slots for them."""
        self.is_claiming = False
        self._board.end_share()

    async def close(self) -> None:
        """Write what has gathered, and let go of the store. Attempts go on, and their workers bring them back."""
        if self._is_closed:
            return
        self.stop_claiming()
        if not self.crashed.done():
            await self._flush()
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            # Something came between the last batch and this.
            await asyncio.wait([self._writing])
        self._refuse_rest()
        await self.store.close()
        if not self.crashed.done():
            self.crashed.cancel()

    # --- what others ask ----------------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Whether nothing can be stored any more."""
        return self._is_closed or self.crashed.done()

    @property
    def engine(self) -> JobEngine:
        """Return the engine, to be asked what it knows."""
        return self._engine

    def submit_with(self, on_answer: OnAnswer, submissions: Submissions) -> None:
        """Store jobs; `on_answer` gets what became of each when that is on the disk, or refused."""
        if self._is_over:
            closing = HubClosingError()
            on_answer([refused(UNAVAILABLE, str(closing), reason_of(closing))] * len(submissions))
            return
        self._engine.submit(on_answer, submissions, self.clock())
        self.poke()

    async def submit(self, submissions: Submissions) -> list[Submitted]:
        """Store jobs; return what became of each when that is on the disk, or refused."""
        answered: asyncio.Future[list[Submitted]] = self._loop.create_future()
        self.submit_with(_settling(answered), submissions)
        return await answered

    async def trigger(self, name: str) -> list[Submitted]:
        """Submit the job of a schedule now.

        Raises:
            HubClosingError: nothing is stored any more.
            ScheduleError: there is none of this name.
        """
        if self._is_over:
            raise HubClosingError
        answered: asyncio.Future[list[Submitted]] = self._loop.create_future()
        self._engine.trigger(_settling(answered), name, self.clock())
        self.poke()
        return await answered

    async def request(self, make: Callable[[OnDone], Request]) -> None:
        """Do what is asked, made with the token that it gets; return when it is on the disk.

        Raises:
            StoreError: it could not be stored.
            TooManySchedulesError: it is a schedule, and there is no room for it.
        """
        if self._is_over:
            raise HubClosingError
        done: asyncio.Future[str] = self._loop.create_future()
        self._engine.request(make(_settling(done)))
        self.poke()
        if words := await done:
            raise self._error_of(words)

    # --- workers ------------------------------------------------------------------------------------------------------

    def know(self, contract: Contract, worker: str) -> None:
        """Take the options of the methods that a worker brings."""
        for method, options, read_value in self.policies.read(contract, worker):
            self._engine.know(method, options, read_value, self.clock())
        self.poke()

    def attached(self, worker: WorkerPort, attempts: Sequence[tuple[int, int]]) -> None:
        """Take the attempts that a worker has brought from an earlier session; adopt those that count."""
        if self._is_closed or not attempts:
            return
        self._perform(self._engine.take_effects())
        self._engine.attached(attempts, self.clock())
        effects = self._engine.take_effects()
        fenced = {(stop.job, stop.attempt) for stop in effects.stops if stop.reason is StopReason.FENCED}
        for job, attempt in attempts:
            if (job, attempt) not in fenced:
                method, replies = self._engine.held(job)
                self._desk.adopt(worker, job, attempt, method, replies)
            elif self._engine.holds(job, attempt):
                # It has ended, and until that is recorded its worker should not forget it.
                fenced.discard((job, attempt))
                self._desk.expect_record(worker, job)
        if fenced:
            release(worker, sorted(fenced))
        adopted = len(attempts) - len(fenced)
        logger.info("%s brought %d running jobs; %d of them count", worker.name, len(attempts), adopted)
        self._perform(effects)
        self.poke()

    # --- attempts: see `AttemptEvents` --------------------------------------------------------------------------------

    def attempt_ended(self, job: int, attempt: int, ending: Ending) -> None:
        """Take the end of an attempt."""
        self._engine.ended(job, attempt, ending, self.clock())
        self.poke()

    def attempts_ended(self, ended: Sequence[tuple[int, int, Ending]]) -> None:
        """Take the ends of many."""
        self._engine.ended_many(ended, self.clock())
        self.poke()

    def attempts_lost(self, worker: str, attempts: Sequence[tuple[int, int]], *, is_begun: bool) -> None:
        """Take it that a worker is gone, and these with it."""
        if self._is_closed:
            return
        (self._engine.died if is_begun else self._engine.hand_back)(worker, attempts, self.clock())
        self.poke()

    def attempt_replied(self, job: int, attempt: int, message: bytes) -> None:
        """Take a reply of a server-streaming attempt."""
        self._engine.replied(job, attempt, [message], self.clock())
        self.poke()

    def attempt_told(self, job: int, attempt: int, frame: Frame) -> None:
        """Take progress, a line of a log or a checkpoint."""
        now = self.clock()
        if frame.HasField("progress"):
            self._engine.progressed(job, attempt, frame.progress.SerializeToString(), now)
        elif frame.HasField("log"):
            self._engine.logged(job, attempt, frame.log.SerializeToString(), now)
        else:
            self._engine.checkpointed(job, attempt, frame.checkpoint.state, now)
        self.poke()

    # --- turns --------------------------------------------------------------------------------------------------------

    def poke(self) -> None:
        """Have a turn soon, behind all that the loop has ready now."""
        if not self._is_turn_due and self._writing is None and not self._is_closed:
            self._is_turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Give the store what has gathered, if it is free."""
        self._is_turn_due = False
        if self._writing is None and not self._is_over:
            self._guarded(self._go_on, Effects())

    def _landed(self, writing: "asyncio.Future[Written]") -> None:
        """Take the store's answer, and give it the next batch."""
        self._writing = None
        self._guarded(self._take_answer, writing)

    def _guarded(self, step: Callable[[Any], None], about: Any) -> None:
        """Take a step. Whatever it raises, nothing is kept any more."""
        try:
            step(about)
        except Exception as error:  # noqa: BLE001  # see above
            self._crash(error)

    def _take_answer(self, writing: "asyncio.Future[Written]") -> None:
        self._settle(writing)
        (self._perform if self._is_over else self._go_on)(self._engine.take_effects())

    def _go_on(self, effects: Effects) -> None:
        """Do what is wanted, and give the store what has gathered.

        What takes slots, or makes workers forget, comes before the next batch is planned, since that asks for free
        slots. All the rest is done while the store writes.
        """
        self._desk.recorded(effects.recorded)
        self._desk.stop(effects.stops)
        self._desk.start(effects.starts)
        self._board.take_back()
        batch = self._engine.plan(self._capacities(), self.clock())
        if batch is not None:
            self._writing = self.store.write(batch)
            self._writing.add_done_callback(self._landed)
        self._tell(effects)
        self._perform(self._engine.take_effects())
        if batch is None:
            self._board.take_back()
            self._rest()
        self._board.switchboard.sought = self._engine.seeking(self.clock()) if self.is_claiming else frozenset()

    def _settle(self, writing: "asyncio.Future[Written]") -> None:
        now = self.clock()
        try:
            written = writing.result()
        except (StoreUnavailableError, StoreDamagedError) as error:
            self._note_trouble(error, now)
            is_full = isinstance(error, StoreUnavailableError) and error.is_full
            self._engine.store_failed(str(error), now, is_full=is_full, reason=reason_of(error))
            return
        if self._trouble_at is not None:
            logger.info("The store writes again")
            self._trouble_at = None
        self._engine.settle(written, now)

    def _capacities(self) -> list[Capacity]:
        if not self.is_claiming:
            return []
        return [Capacity(methods=methods, free=free) for methods, free in self._board.switchboard.free_slots()]

    def _rest(self) -> None:
        """Wait for what comes: a free slot, or a time."""
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tick = self._engine.next_tick
        if tick is not None:
            self._timer = self._loop.call_later(max(0.0, tick - self.clock()), self.poke)
        self._board.switchboard.on_free = self.poke if self._engine.has_ready else None

    def _perform(self, effects: Effects) -> None:
        """Do what is wanted."""
        self._desk.recorded(effects.recorded)
        self._desk.stop(effects.stops)
        self._desk.start(effects.starts)
        self._tell(effects)

    def _tell(self, effects: Effects) -> None:
        """Tell those who wait, in the order that the engine names."""
        self.failed_lately.note(effects.outcomes, self.clock())
        self.listeners.tell(effects.outcomes)
        for on_answer, jobs in effects.answers:
            self.listeners.stored(jobs)
            on_answer(jobs)
        if effects.told:
            self._desk.told(effects.told)
            self.listeners.tell_told(effects.told)
        for on_done in effects.done:
            on_done("")
        for name, words in effects.missed:
            logger.warning("The schedule %r has submitted nothing, since its job was refused: %s", name, words)
        for on_done, words in effects.failed:
            on_done(words)
        self.listeners.tell_begun(effects.starts)

    async def _flush(self) -> None:
        """Wait until the store has all that there is to store, or cannot store it."""
        quiet = self._quiet = self._loop.create_future()
        self.poke()
        await asyncio.wait([quiet, self.crashed], return_when=asyncio.FIRST_COMPLETED)

    def _refuse_rest(self) -> None:
        """Answer those whose turn does not come any more."""
        if self.crashed.done():
            self._engine.take_effects()  # what a defect has left half done
        closing = HubClosingError()
        self._engine.refuse_waiting(str(closing), reason_of(closing))
        self._perform(self._engine.take_effects())

    def _error_of(self, words: str) -> StoreError:
        """Return what is raised, anew for each who asked, where the engine says that something is not stored."""
        closing, trouble = HubClosingError(), self._trouble
        if words == str(closing):
            return closing
        return copy(trouble) if trouble is not None and str(trouble) == words else StoreUnavailableError(words)

    def _note_trouble(self, error: StoreError, now: float) -> None:
        self._trouble = error
        if self._trouble_at is None or now - self._trouble_at >= TROUBLE_S:
            self._trouble_at = now
            logger.error("Jobs cannot be stored: %s", error)

    def _crash(self, error: Exception) -> None:
        """Stop for good: what the engine believes and what the store holds may differ now."""
        if not self.crashed.done():
            logger.critical("The jobs cannot go on; this is a defect of Portcall's", exc_info=error)
            self.crashed.set_exception(error)


def _settling(future: "asyncio.Future[Any]") -> Callable[[Any], None]:
    """Return what settles a future, unless nobody waits any more."""

    def settle(value: Any) -> None:
        if not future.done():
            future.set_result(value)

    return settle
