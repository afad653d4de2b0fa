"""One world: who is in it, what goes wrong in it, and how it is run to its end."""

from collections import deque
from collections.abc import Callable

from .clients import SimClient
from .dialling import SimDialer
from .hub import SimHub
from .invariants import Watch
from .network import Stream
from .plans import Ledger
from .profile import METHODS, draw_profile
from .schedule import Action, Schedule
from .workers import SimWorker

STEPS_ACTIVE_MAX = 1_500
"""Steps in which calls are made and things go wrong; then all is let run."""

STEPS_MAX = 60_000
"""Steps in which a world has to come to rest."""

TRACE_LENGTH = 25


class SimulationError(AssertionError):
    """A world in which something happened that must not. `str()` says how to see it again."""


class World:
    """Everything that a seed makes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.schedule = Schedule(seed)
        self.profile = draw_profile(self.schedule.rng)
        self.ledger = Ledger()
        self.is_settling = False
        self.steps = 0
        self._names = 0
        self._trace: deque[tuple[float, Action]] = deque(maxlen=TRACE_LENGTH)
        self.hub = SimHub(self)
        self.clients: list[SimClient] = []
        self.workers: list[SimWorker] = []
        self.watch = Watch(self)
        self._populate()

    # --- what those who live here ask ---------------------------------------------------------------------------------

    @property
    def wants_calls(self) -> bool:
        """Whether more calls shall be made."""
        return not self.is_settling and len(self.ledger.records) < self.profile.calls_max

    @property
    def wants_jobs(self) -> bool:
        """Whether more jobs shall be submitted."""
        return not self.is_settling and len(self.hub.jobs.rows) < self.profile.jobs_max

    def think(self, action: Action) -> None:
        """Do this after as long as a program takes for one thing."""
        self.schedule.soon(self.profile.think_mean_s, action)

    def connect(self, dialer: SimDialer) -> Stream | None:
        """Return a stream to the hub, or None if it cannot be reached."""
        if not self.hub.is_up or dialer.cut_off_until > self.schedule.now:
            return None
        stream = Stream(self.schedule, self.profile.latency_mean_s)
        self.hub.accept(stream)
        return stream

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run to the end.

        Raises:
            SimulationError: something happened that must not, or something did not happen that has to.
        """
        try:
            self._run_actively()
            self._settle()
            self.watch.check_end()
        except SimulationError:
            raise
        except Exception as error:
            raise SimulationError(self._describe(f"{type(error).__name__}: {error}")) from error

    def _run_actively(self) -> None:
        while self.steps < STEPS_ACTIVE_MAX and (self.wants_calls or self.ledger.alive or self.wants_jobs):
            self._step()

    def _settle(self) -> None:
        """Let nothing more go wrong, and wait until nothing moves that has to."""
        self.is_settling = True
        for dialer in self._dialers():
            dialer.cut_off_until = 0.0
        self._add_worker(METHODS, slots=8)
        while not self.watch.is_at_rest():
            if self.steps > STEPS_MAX or not len(self.schedule):
                alive = [f"{record.key} ({record.plan})" for record in self.ledger.alive.values()]
                raise SimulationError(self._describe(f"it never came to rest; these calls live: {alive[:5]}"))
            self._step()

    def _step(self) -> None:
        self.steps += 1
        action = self.schedule.step()
        self._trace.append((self.schedule.now, action))
        self.watch.check()

    def _describe(self, what: str) -> str:
        trace = "\n  ".join(
            f"{at:.6f} {getattr(action, '__qualname__', action)} of {getattr(action, '__self__', 'the world')}"
            for at, action in self._trace
        )
        return (
            f"{what}\nin step {self.steps} of seed {self.seed}, at {self.schedule.now:.6f}, in {self.profile}\n"
            f"The last steps were:\n  {trace}\n"
            f"To see it again: PORTCALL_SEED={self.seed} pytest tests/simulation"
        )

    # --- who is here --------------------------------------------------------------------------------------------------

    def _populate(self) -> None:
        profile, rng = self.profile, self.schedule.rng
        self._add_worker(METHODS, slots=rng.randint(1, 4))
        for _ in range(profile.workers - 1):
            self._add_some_worker()
        for _ in range(profile.clients):
            self._add_client()
        for fault in profile.faults:
            self._plan_fault(fault)

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"

    def _add_client(self) -> None:
        self.clients.append(SimClient(self, self._name("client")))

    def _add_worker(self, methods: tuple[str, ...], slots: int) -> None:
        self.workers.append(SimWorker(self, self._name("worker"), methods, slots))

    def _add_some_worker(self) -> None:
        rng = self.schedule.rng
        methods = rng.sample(METHODS, rng.randint(1, len(METHODS)))
        self._add_worker(tuple(sorted(methods)), slots=rng.randint(1, 4))

    def _dialers(self) -> list[SimDialer]:
        return [*(client.dialer for client in self.clients), *(worker.dialer for worker in self.workers)]

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _plan_fault(self, fault: str) -> None:
        """Let a fault of this kind happen again and again."""
        happen: Callable[[], None] = getattr(self, f"_fault_{fault}")

        def strike() -> None:
            if not self.is_settling:
                happen()
                self._plan_fault(fault)

        self.schedule.soon(self.profile.fault_mean_s * len(self.profile.faults), strike)

    def _fault_drop(self) -> None:
        """A stream breaks."""
        stream = self.schedule.rng.choice(self._dialers()).stream
        if stream is not None:
            stream.break_off()

    def _fault_outage(self) -> None:
        """A link is away, perhaps for longer than the grace period."""
        dialer = self.schedule.rng.choice(self._dialers())
        dialer.cut_off_until = self.schedule.now + self.schedule.rng.uniform(0.05, 1.2)
        if dialer.stream is not None:
            dialer.stream.break_off()

    def _fault_stall(self) -> None:
        """One direction of a stream does not move for a while, as if its reader did not read."""
        stream = self.schedule.rng.choice(self._dialers()).stream
        if stream is not None:
            end = self.schedule.rng.choice((stream, stream.other))
            end.stalled_until = self.schedule.now + self.schedule.rng.uniform(0.05, 1.0)

    def _fault_worker_dies(self) -> None:
        """A worker's process is killed; perhaps another comes."""
        worker = self._some_worker()
        if worker is not None:
            worker.die()
            self._replace(worker)

    def _fault_worker_freezes(self) -> None:
        """A worker reads no more, so that calls for it gather at the hub, and is killed later."""
        worker = self._some_worker()
        if worker is not None and worker.dialer.stream is not None:
            worker.dialer.stream.other.stalled_until = self.schedule.now + 10.0
            self.schedule.soon(0.2, worker.die)
            self._replace(worker)

    def _fault_worker_drains(self) -> None:
        """A worker takes no new calls and leaves."""
        worker = self._some_worker()
        if worker is not None:
            worker.drain()
            self._replace(worker)

    def _fault_slots(self) -> None:
        """A worker changes how many calls it takes."""
        worker = self._some_worker()
        if worker is not None:
            worker.set_slots(self.schedule.rng.randint(0, 5))

    def _fault_restart(self) -> None:
        """The hub's process is killed and started again."""
        if self.hub.is_up and self.schedule.chance(0.3):
            self.hub.restart(self.schedule.rng.uniform(0.01, 0.3))

    def _fault_client_leaves(self) -> None:
        """A channel is closed; another may be opened."""
        if self.clients and self.schedule.chance(0.5):
            client = self.schedule.rng.choice(self.clients)
            client.leave()
            self.clients.remove(client)
            self._add_client()

    def _some_worker(self) -> SimWorker | None:
        workers = [worker for worker in self.workers if worker.is_taking_calls]
        return self.schedule.rng.choice(workers) if workers else None

    def _replace(self, gone: SimWorker) -> None:
        self.workers = [worker for worker in self.workers if worker is gone or not worker.dialer.has_left]
        if self.schedule.chance(0.8):
            self.schedule.soon(0.1, self._add_some_worker)


def run_seed(seed: int) -> World:
    """Run one world; return it as it was at its end."""
    world = World(seed)
    world.run()
    return world
