"""Runs the processes of a worker: does what the crew wants done, and tells it what happens."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import assert_never

from portcall.contract.contract import parse_contract
from portcall.core.switchboard import SLOTS_MAX
from portcall.errors import PortcallError, ProtocolError
from portcall.protos.portcall.v1.link_pb2 import Frame, Welcome
from portcall.protos.portcall.v1.process_pb2 import ProcessHello
from portcall.wire.limits import MESSAGE_BYTES_MAX
from portcall.wire.pump import PeerLeftError, Pump, StreamLostError
from portcall.worker.naming import worker_name
from portcall.worker.processes.child import EOF_S, Child, start_child
from portcall.worker.processes.crew import Crew, CrewRules, words_of_exit
from portcall.worker.processes.effects import (
    Admit,
    CancelCalls,
    Dismiss,
    Effect,
    Exit,
    GiveUp,
    Hold,
    Kill,
    Release,
    Say,
    Start,
    Withdraw,
)
from portcall.worker.processes.orphans import reap_as_process_1, reap_if_process_1
from portcall.worker.processes.relay import Relay
from portcall.worker.processes.states import ProcessState
from portcall.worker.processes.stream import PATIENT

logger = logging.getLogger("portcall.worker")


class AppFailedError(PortcallError):
    """The first process ended before it could take calls. With `is_mistake` it has said why."""

    def __init__(self, words: str, *, is_mistake: bool) -> None:
        super().__init__(words)
        self.is_mistake = is_mistake


class ProcessRunner:
    """The processes of one worker, from the first start to the last end.

    Args:
        rules: how many, and when one is replaced.
        command: what starts a process; see `start_child`.
        name: what callers whose process was lost are told of the worker; if None, what the app calls it, or "HOST-PID".
        on_change: called when a process comes, goes or changes its state.
        rng: for jitter.
    """

    def __init__(
        self,
        rules: CrewRules,
        command: Sequence[str],
        *,
        name: str | None,
        on_change: Callable[[], None],
        rng: random.Random,
    ) -> None:
        self._rules = rules
        self._name = name
        self._command = command
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.welcome = Welcome(message_bytes_max=MESSAGE_BYTES_MAX)
        """What the hub said last."""
        self._children: dict[int, Child] = {}
        self._starting = 0
        self._attending: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._first: asyncio.Future[ProcessHello] = self._loop.create_future()
        self.crew = Crew(rules, rng)
        self.relay = Relay(self._take_welcome, self.close)
        self.is_closed = False

    @property
    def now(self) -> float:
        """Return the reading of the crew's clock, in seconds."""
        return self._loop.time()

    async def start(self) -> ProcessHello:
        """Start the first process; return what it says of itself. The others follow.

        Raises:
            AppFailedError: it ended instead.
        """
        reap_as_process_1(self._own_pids)
        self._perform(self.crew.start(self.now))
        self._ticking = self._loop.create_task(self._tick_on(), name="portcall-pulse")
        return await self._first

    async def wait_complete(self) -> None:
        """Wait until every process takes calls that should."""
        while not self.crew.is_complete:
            await self._changed.wait()

    async def close(self) -> None:
        """End all processes, by force where need be. Idempotent."""
        self._perform(self.crew.dismiss(self.now))
        while self._attending:
            await asyncio.wait(self._attending)
        if self._timer is not None:
            self._timer.cancel()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
        self.is_closed = True

    def kill_all(self) -> None:
        """Send every process SIGKILL."""
        for child in self._children.values():
            child.kill()

    # --- what the crew wants ---------------------------------------------------------------------------------------

    def _perform(self, effects: Iterable[Effect]) -> None:
        effects = list(effects)
        for effect in effects:
            self._perform_one(effect)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.crew.next_tick
        if due is not None:
            self._timer = self._loop.call_at(due, self._tick)
        if effects:
            self._note_change()

    def _perform_one(self, effect: Effect) -> None:
        match effect:
            case Start():
                task = self._loop.create_task(self._attend(effect.number), name=f"process number {effect.number}")
                self._attending.add(task)
                task.add_done_callback(self._attending.discard)
            case Say():
                logger.log(logging.WARNING if effect.is_warning else logging.INFO, "%s", effect.words)
            case GiveUp():
                if not self._first.done():
                    self._first.set_exception(AppFailedError(effect.words, is_mistake=effect.is_mistake))
            case _:
                child = self._children.get(effect.number)
                if child is not None:
                    self._perform_on(child, effect)

    def _perform_on(
        self, child: Child, effect: Admit | Hold | Release | Withdraw | CancelCalls | Dismiss | Kill
    ) -> None:
        port = child.port
        match effect:
            case Dismiss():
                child.dismiss()
            case Kill():
                child.kill()
            case _ if port is None:
                pass
            case Admit():
                self.relay.add(port, port.methods)
            case Hold():
                self.relay.set_slots(port, 0)
            case Release():
                self.relay.set_slots(port, child.slots)
            case Withdraw():
                self.relay.withdraw(port)
                # It may be quiet already; what was seen of it before does not tell.
                self._loop.call_soon(self._look, child)
            case CancelCalls():
                self.relay.cancel_calls(port)
            case _:
                assert_never(effect)

    # --- one process -----------------------------------------------------------------------------------------------

    async def _attend(self, number: int) -> None:
        """See a process from its start to its end."""
        try:
            end = await self._see_through(number)
        except Exception as error:
            # A defect of ours must not cost the worker a place.
            logger.exception("Process number %d failed in a way that it should not", number)
            child = self._children.pop(number, None)
            if child is not None:
                child.kill()
                child.close()
                if child.port is not None:
                    self.relay.remove(child.port, {})
            end = Exit(how=f"was given up: {error}", code=1)
        self._perform(self.crew.on_exit(number, end, self.now))
        reap_if_process_1(self._own_pids)

    async def _see_through(self, number: int) -> Exit:
        self._starting += 1
        try:
            child = await start_child(number, self._command)
        except OSError as error:
            return Exit(how=f"could not be started: {error}", code=1)
        finally:
            self._starting -= 1
        self._children[number] = child
        member = self.crew.members[number]
        member.pid = child.pid
        if member.state is ProcessState.KILLED:
            child.kill()
        self._note_change()
        talking = self._loop.create_task(self._talk(child), name=f"link of process {child.pid}")
        await asyncio.wait({talking, child.exited}, return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            await asyncio.wait({talking}, timeout=EOF_S)
            talking.cancel()
        words = "" if talking.cancelled() or not talking.done() else talking.result()
        self._perform(self.crew.on_broken(number, words, self.now))
        code = await child.exited
        await asyncio.wait({talking})
        del self._children[number]
        lost, given = (0, 0) if child.port is None else self.relay.remove(child.port, child.unbegun_calls())
        child.close()
        return Exit(how=words_of_exit(code), code=code, lost=lost, given=given)

    async def _talk(self, child: Child) -> str:
        """Run the link of a process to its end; return what was wrong with it."""
        try:
            hello = await child.read_hello()
            if hello is None:
                return ""
            self._welcome_child(child, hello)
            await Pump(child.link, child, partial(self._on_frames, child), PATIENT).run()
        except (StreamLostError, PeerLeftError):
            return ""
        except ProtocolError as error:
            child.dismiss()
            return f"broke the protocol: {error}"
        except Exception:
            logger.exception("The link of process %d failed in a way that it should not", child.pid)
            return "its link failed"

    def _welcome_child(self, child: Child, hello: ProcessHello) -> None:
        """Take a process in that has said hello."""
        slots = hello.worker.slots
        if not 0 < slots <= SLOTS_MAX:
            raise ProtocolError(f"a process with {slots} slots; it should be 1 to {SLOTS_MAX}")
        name = self._name or hello.worker.name or worker_name()
        child.admit(name, slots, parse_contract(hello.worker.contract).kinds)
        child.link.send_event(Frame(welcome=self.welcome))
        if not self._first.done():
            self._first.set_result(hello)
        self._perform(self.crew.on_hello(child.number, self.now))

    def _on_frames(self, child: Child, frames: Sequence[Frame]) -> None:
        """Pass frames of a process on, but for its wish to be replaced."""
        port = child.port
        assert port is not None
        if not frames[0].call_id and frames[0].HasField("drain"):
            self._perform(self.crew.on_asked(child.number, self.now))
            frames = frames[1:]
        self.relay.from_process(port, frames)
        if port.is_draining and not port.calls:
            self._look(child)

    # --- all of them -----------------------------------------------------------------------------------------------

    def _take_welcome(self, welcome: Welcome) -> None:
        """Have every process know what the hub said."""
        self.welcome = welcome
        for child in self._children.values():
            if child.port is not None:
                child.link.send_event(Frame(welcome=welcome))
        self._note_change()

    def _note_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        self._on_change()

    def _own_pids(self) -> set[int] | None:
        return None if self._starting else {child.pid for child in self._children.values()}

    async def _tick_on(self) -> None:
        """Look at every process, again and again."""
        while True:
            await asyncio.sleep(self._rules.pulse_s)
            for child in list(self._children.values()):
                self._look(child)
            self.relay.tell_slots()

    def _look(self, child: Child) -> None:
        if child.number not in self._children:
            return
        now = self.now
        vitals = child.look(now, self._rules.hang_limit_s)
        self._perform(self.crew.on_vitals(child.number, vitals, now))

    def _tick(self) -> None:
        self._timer = None
        self._perform(self.crew.tick(self.now))
