"""Workers: they run attempts, tell how these ended until somebody has written it down, and may vanish at any time."""

from typing import TYPE_CHECKING

from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.effects import Adopted, Start, Stop, StopReason, Told
from portcall.core.jobs.verdicts import Ending
from portcall.core.refusals import CANCELLED, INVALID_ARGUMENT, OK, UNAVAILABLE
from tests.simulation.schedule import Action

from .ledger import Execution
from .profile import STREAM

if TYPE_CHECKING:
    from .world import World

Pair = tuple[int, int]


class Wire:
    """One way of a link: what goes in first comes out first."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._last_at = 0.0

    def send(self, action: Action) -> None:
        """Do this at the other end, a little later."""
        schedule = self._world.schedule
        delay_s = schedule.rng.expovariate(1.0 / self._world.profile.latency_mean_s)
        self._last_at = max(self._last_at, schedule.now + delay_s)
        schedule.after(self._last_at - schedule.now, action)


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
        self._up = self._down = Wire(world)
        self.cut_off_until = 0.0
        self.running: dict[Pair, Execution] = {}
        self.unstarted: dict[Pair, Start] = {}
        """Those that have come and have not been begun."""
        self.unrecorded: dict[Pair, tuple[Execution | None, Ending]] = {}
        self._may_tell: dict[Pair, int] = {}
        """The link on which an attempt has come or goes on. On another one the hub has to hear first what it missed."""
        self._after(self._dial)

    # --- the link -----------------------------------------------------------------------------------------------------

    def _dial(self) -> None:
        """Attach, and name all attempts that it holds."""
        world = self._world
        if not self.is_alive or self.link:
            return
        if not world.hub.is_up or self.cut_off_until > world.schedule.now:
            self._after(self._dial)
            return
        self.link = link = world.new_link()
        self._up, self._down = Wire(world), Wire(world)
        pairs = [*self.running, *self.unstarted, *self.unrecorded]
        self._up.send(lambda: world.hub.attach(self, link, pairs))

    def link_lost(self) -> None:
        """Note that the link is gone; dial again."""
        self.link = 0
        self._after(self._dial)

    def _after(self, action: Action) -> None:
        self._world.schedule.soon(0.01, action)

    def _tell(self, pair: Pair, action: Action) -> None:
        """Do this at the hub a little later, if the link is still the same then."""
        link = self.link
        if link and self._may_tell[pair] == link:
            self._up.send(lambda: self._world.hub.links.get(link) is self and action())

    def hear(self, action: Action) -> None:
        """Do this here, as the hub says, if the link is still the same then."""
        link = self.link
        if link:
            self._down.send(lambda: self.is_alive and self.link == link and action())

    # --- what the hub says --------------------------------------------------------------------------------------------

    def start(self, start: Start) -> None:
        """Take an attempt; it begins a little later."""
        pair = (start.job, start.attempt)
        self._may_tell[pair] = self.link
        if pair in self.unstarted or pair in self.running or pair in self.unrecorded:
            raise AssertionError(f"{self.name} was given attempt {pair} twice")
        if self.is_draining:
            self._hand_back(pair)
            return
        self.unstarted[pair] = start
        self._world.schedule.soon(0.001, lambda: self._begin(pair))

    def stop(self, stop: Stop) -> None:
        """Stop an attempt; it takes a while, except that nobody hears of one that counts for nothing."""
        pair = (stop.job, stop.attempt)
        if stop.reason is StopReason.FENCED:
            for held in (self.running, self.unstarted, self.unrecorded):
                held.pop(pair, None)
            self._leave_if_done()
        elif pair in self.running or pair in self.unstarted:
            self._world.schedule.soon(0.01, lambda: self._stopped(pair))

    def adopted(self, adopted: Adopted) -> None:
        """Tell the hub what it has not got of an attempt that goes on, in the order in which it was told first."""
        pair = (adopted.job, adopted.attempt)
        self._may_tell[pair] = self.link
        execution = self.running.get(pair) or self.unrecorded.get(pair, (None,))[0]
        if execution is not None:
            assert adopted.replies <= execution.said, f"the hub has more replies of {pair} than were made"
            # What the hub has it need not have on its disk: only `told` lets the rest be forgotten.
            for offset, message in execution.unkept:
                if offset >= adopted.replies:
                    self._tell_of_stream(pair, offset, message)
        if pair in self.unrecorded:
            self._tell_end(pair, self.unrecorded[pair][1])

    def told(self, told: Told) -> None:
        """Forget what the hub has got of a stream."""
        execution = self.running.get((told.job, told.attempt))
        if execution is not None and told.replies:
            _forget_kept(execution, told.replies)

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
            self._tell(pair, lambda: world.hub.tell(pair))
        if "children" in world.profile.troubles and world.schedule.chance(0.3):
            self._tell(pair, lambda: world.submit_child(pair))
        if start.method == STREAM:
            self._begin_stream(pair, execution, start)
            return
        assert not start.replies
        long = 20 if "timeout" in world.profile.troubles and world.schedule.chance(0.2) else 1
        world.schedule.soon(world.profile.work_mean_s * long, lambda: self._finish(pair))

    def _begin_stream(self, pair: Pair, execution: Execution, start: Start) -> None:
        kept = 0 if start.checkpoint is None else int(start.checkpoint)
        assert start.replies == kept, f"{pair} goes on behind {start.replies} replies, and its checkpoint had {kept}"
        execution.first = execution.said = kept
        execution.total = kept + self._world.schedule.rng.randrange(8)
        self._world.schedule.soon(self._world.profile.work_mean_s / 4, lambda: self._speak(pair))

    def _speak(self, pair: Pair) -> None:
        """Give a reply or a checkpoint, or end."""
        execution, schedule = self.running.get(pair), self._world.schedule
        if execution is None or not self.is_alive:
            return
        if execution.said == execution.total or schedule.chance(0.03):
            self._finish(pair)
            return
        if schedule.chance(0.3):
            self._say(pair, execution, None)
        else:
            self._say(pair, execution, reply_of(pair, execution.said))
        schedule.soon(self._world.profile.work_mean_s / 4, lambda: self._speak(pair))

    def _say(self, pair: Pair, execution: Execution, message: bytes | None) -> None:
        execution.unkept.append((execution.said, message))
        self._tell_of_stream(pair, execution.said, message)
        execution.said += message is not None

    def _tell_of_stream(self, pair: Pair, offset: int, message: bytes | None) -> None:
        hub = self._world.hub
        if message is None:
            self._tell(pair, lambda: hub.checkpointed(pair, b"%d" % offset))
        else:
            self._tell(pair, lambda: hub.replied(pair, message))

    def _finish(self, pair: Pair) -> None:
        execution = self.running.get(pair)
        if execution is None or not self.is_alive:
            return
        chance = self._world.schedule.chance
        is_unlucky = "failure" in self._world.profile.troubles and not self._world.is_settling and chance(0.4)
        if is_unlucky or execution.said < execution.total:
            status = INVALID_ARGUMENT if chance(0.2) else UNAVAILABLE
            ending = Ending(outcome=AttemptOutcome.FAILED, status=status, details="no luck", worker=self.name)
        else:
            ending = Ending(outcome=AttemptOutcome.SUCCEEDED, status=OK, worker=self.name, reply=execution.reply)
        self._end(pair, ending)

    def _stopped(self, pair: Pair) -> None:
        if self.is_alive and (pair in self.running or pair in self.unstarted):
            ending = Ending(outcome=AttemptOutcome.FAILED, status=CANCELLED, details="stopped", worker=self.name)
            self._end(pair, ending)

    def _end(self, pair: Pair, ending: Ending) -> None:
        self.unstarted.pop(pair, None)
        execution = self.running.pop(pair, None)
        if execution is not None:
            execution.told = ending.outcome
        self.unrecorded[pair] = (execution, ending)
        self._tell_end(pair, ending)
        self._leave_if_done()

    def _tell_end(self, pair: Pair, ending: Ending) -> None:
        self._tell(pair, lambda: self._world.hub.ended(pair, ending))

    # --- leaving ------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take nothing more, hand back what has not begun, and leave when the rest is done."""
        self.is_draining = True
        pairs, self.unstarted = [*self.unstarted], {}
        for pair in pairs:
            self._hand_back(pair)
        self._leave_if_done()

    def _hand_back(self, pair: Pair) -> None:
        ending = Ending(outcome=AttemptOutcome.HANDED_BACK, status=UNAVAILABLE, worker=self.name)
        self.unrecorded[pair] = (None, ending)
        self._tell_end(pair, ending)

    def _leave_if_done(self) -> None:
        if self.is_draining and not (self.running or self.unstarted):
            self._world.schedule.soon(0.1, self.die)

    def die(self) -> None:
        """Vanish with everything."""
        if self.is_alive:
            self.is_alive = False
            self.running, self.unstarted, self.unrecorded = {}, {}, {}
            self._world.worker_died(self)


def reply_of(pair: Pair, offset: int) -> bytes:
    """What an attempt replies at an offset."""
    return b"%d/%d:%d" % (*pair, offset)


def _forget_kept(execution: Execution, replies: int) -> None:
    """Forget replies before an offset, and checkpoints that came before one of these."""
    execution.unkept = [(at, message) for at, message in execution.unkept if at >= replies]
