"""Workers: they run attempts, tell how these ended until somebody has written it down, and may vanish at any time."""

from typing import TYPE_CHECKING

from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.effects import Start, Stop, StopReason
from portcall.core.jobs.verdicts import Ending
from portcall.core.refusals import CANCELLED, INVALID_ARGUMENT, OK, UNAVAILABLE

from .ledger import Execution

if TYPE_CHECKING:
    from .world import World

Pair = tuple[int, int]


class SimWorker:
    """One worker process."""

    def __init__(self, world: "World", name: str, slots: int) -> None:
        self._world = world
        self.name = name
        self.slots = slots
        self.is_alive = True
        self.is_draining = False
        self.link = 0
        """Number of its link; 0 while it has none."""
        self.cut_off_until = 0.0
        self.running: dict[Pair, Execution] = {}
        self.unstarted: dict[Pair, Start] = {}
        """Those that have come and have not been begun."""
        self.unrecorded: dict[Pair, Ending] = {}
        self._after(self._dial)

    # --- the link -----------------------------------------------------------------------------------------------------

    def _dial(self) -> None:
        """Attach, tell what runs, and repeat what nobody has written down."""
        world = self._world
        if not self.is_alive or self.link:
            return
        if not world.hub.is_up or self.cut_off_until > world.schedule.now:
            self._after(self._dial)
            return
        self.link = world.new_link()
        link = self.link
        pairs = [*self.running, *self.unstarted, *self.unrecorded]
        world.send(lambda: world.hub.attach(self, link, pairs))

    def link_lost(self) -> None:
        """Note that the link is gone; dial again."""
        self.link = 0
        self._after(self._dial)

    def _after(self, action) -> None:
        self._world.schedule.soon(0.01, action)

    def _send(self, action) -> None:
        """Do this at the hub a little later, if the link is still the same then."""
        link = self.link
        if link:
            self._world.send(lambda: self._world.hub.links.get(link) is self and action())

    # --- what the hub says --------------------------------------------------------------------------------------------

    def start(self, start: Start) -> None:
        """Take an attempt; it begins a little later."""
        if not self.is_alive:
            return
        pair = (start.job, start.attempt)
        if pair in self.unstarted or pair in self.running or pair in self.unrecorded:
            raise AssertionError(f"{self.name} was given attempt {pair} twice")
        self.unstarted[pair] = start
        self._world.schedule.soon(0.001, lambda: self._begin(pair))

    def stop(self, stop: Stop) -> None:
        """Stop an attempt; it takes a while."""
        pair = (stop.job, stop.attempt)
        if stop.reason is StopReason.FENCED:
            self.unrecorded.pop(pair, None)
        if pair in self.running or pair in self.unstarted:
            self._world.schedule.soon(0.01, lambda: self._stopped(pair, is_fenced=stop.reason is StopReason.FENCED))

    def recorded(self, pair: Pair) -> None:
        """Forget an end that is written down."""
        self.unrecorded.pop(pair, None)

    # --- running ------------------------------------------------------------------------------------------------------

    def _begin(self, pair: Pair) -> None:
        start = self.unstarted.pop(pair, None)
        if start is None or not self.is_alive:
            return
        world = self._world
        execution = Execution(job=pair[0], attempt=pair[1], worker=self.name, reply=b"%d/%d" % pair)
        if pair in world.ledger.executions:
            raise AssertionError(f"attempt {pair} was begun twice")
        world.ledger.executions[pair] = self.running[pair] = execution
        if start.request == b"poison" and world.schedule.chance(0.8):
            world.schedule.soon(0.005, self.die)
            return
        if world.schedule.chance(0.3):
            self._send(lambda: world.hub.tell(pair))
        if "children" in world.profile.troubles and world.schedule.chance(0.3):
            self._send(lambda: world.submit_child(pair))
        long = 20 if "timeout" in world.profile.troubles and world.schedule.chance(0.2) else 1
        world.schedule.soon(world.profile.work_mean_s * long, lambda: self._finish(pair))

    def _finish(self, pair: Pair) -> None:
        execution = self.running.get(pair)
        if execution is None or not self.is_alive:
            return
        chance = self._world.schedule.chance
        if "failure" in self._world.profile.troubles and not self._world.is_settling and chance(0.4):
            status = INVALID_ARGUMENT if chance(0.2) else UNAVAILABLE
            ending = Ending(outcome=AttemptOutcome.FAILED, status=status, details="no luck", worker=self.name)
        else:
            ending = Ending(outcome=AttemptOutcome.SUCCEEDED, status=OK, worker=self.name, reply=execution.reply)
        self._end(pair, ending)

    def _stopped(self, pair: Pair, *, is_fenced: bool) -> None:
        if not self.is_alive or (pair not in self.running and pair not in self.unstarted):
            return
        if is_fenced:
            self.running.pop(pair, None)
            self.unstarted.pop(pair, None)
            return
        ending = Ending(outcome=AttemptOutcome.FAILED, status=CANCELLED, details="stopped", worker=self.name)
        self._end(pair, ending)

    def _end(self, pair: Pair, ending: Ending) -> None:
        self.unstarted.pop(pair, None)
        execution = self.running.pop(pair, None)
        if execution is not None:
            execution.told = ending.outcome
        self.unrecorded[pair] = ending
        self._tell_end(pair, ending)
        self._leave_if_done()

    def _tell_end(self, pair: Pair, ending: Ending) -> None:
        self._send(lambda: self._world.hub.ended(pair, ending))

    # --- leaving ------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take nothing more, hand back what has not begun, and leave when the rest is done."""
        self.is_draining = True
        pairs, self.unstarted = [*self.unstarted], {}
        for pair in pairs:
            ending = Ending(outcome=AttemptOutcome.HANDED_BACK, status=UNAVAILABLE, worker=self.name)
            self.unrecorded[pair] = ending
            self._tell_end(pair, ending)
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self.is_draining and not (self.running or self.unstarted):
            self._world.schedule.soon(0.1, self.die)

    def die(self) -> None:
        """Vanish with everything."""
        if self.is_alive:
            self.is_alive = False
            self.running, self.unstarted, self.unrecorded = {}, {}, {}
            self._world.worker_died(self)
