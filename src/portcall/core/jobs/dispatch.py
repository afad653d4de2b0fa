"""What starts next: free slots, limits and turns go in, claims come out.

Theory of operation. A choice reserves for each job that it asks the store for: a slot in this choice's count, and a
place in the method's gate. The store answers with the jobs that there were; what was not used is given back. Only one
batch is under way at a time, so a reservation is never weighed against another that nobody knows of yet, and limits are
exact.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from portcall.core.jobs.batch import UNSORTED, Claim, ClaimedJob, Flow, FlowPage
from portcall.core.jobs.flows import Flows
from portcall.core.jobs.gates import Gate
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.policy import Policy
from portcall.core.jobs.ranks import suspicion_of
from portcall.core.jobs.unsorted import Unsorted

PAGE_FLOWS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Free slots of workers that serve the same methods."""

    methods: frozenset[str]
    free: int


class Slots:
    """The free slots of a fleet, as one choice uses them up."""

    __slots__ = ("_free", "_pools", "_sought")

    def __init__(self, capacities: Iterable[Capacity]) -> None:
        # Those who serve the fewest methods first, so that those who serve more are left for others.
        pools = sorted((capacity for capacity in capacities if capacity.free > 0), key=lambda pool: len(pool.methods))
        self._free = [pool.free for pool in pools]
        self._pools: dict[str, list[int]] = {}
        for number, pool in enumerate(pools):
            for method in pool.methods:
                self._pools.setdefault(method, []).append(number)
        self._sought: set[int] = set()

    def of(self, method: str) -> int:
        """Return how many slots a method could take."""
        return sum(self._free[number] for number in self._pools.get(method, ()))

    def take(self, method: str, count: int = 1) -> None:
        """Take slots that there are."""
        for number in self._pools[method]:
            taken = min(count, self._free[number])
            self._free[number] -= taken
            count -= taken
            if not count:
                return
        raise RuntimeError(f"{count} more slots were taken for {method} than there are")

    def seek(self, method: str) -> None:
        """Note that jobs of a method wait for slots: those that it could take are not spare."""
        self._sought.update(self._pools.get(method, ()))

    def take_spare(self, method: str) -> bool:
        """Take a slot that nobody waits for, if there is one."""
        for number in self._pools.get(method, ()):
            if self._free[number] and number not in self._sought:
                self._free[number] -= 1
                return True
        return False


class Method:
    """A method, as far as jobs are concerned."""

    __slots__ = (
        "flows",
        "gate",
        "id",
        "is_known",
        "name",
        "options",
        "plain_value",
        "policy",
        "policy_id",
        "read_value",
        "sleeps",
    )

    def __init__(self, name: str, policy: Policy, now: float, limits: JobLimits) -> None:
        self.name = name
        self.id = 0
        """The store's number for it; 0 until the store has told."""
        self.policy_id = 0
        """The store's number for its newest options; 0 until the store has told."""
        self.options = b""
        self.policy = policy
        self.is_known = False
        """Whether its contract is, since this hub has begun."""
        self.read_value: Callable[[bytes], str] | None = None
        self.plain_value = UNSORTED
        """The value of jobs where `read_value` is None."""
        self.gate = Gate(policy, now, limits.values_max)
        self.flows = Flows(limits.flows_max, is_whole=True)
        self.sleeps: dict[str, float] = {}
        """Values that are to be woken, and when."""

    def value_of(self, request: bytes) -> str:
        """Return the value of a job with this request."""
        return self.plain_value if self.read_value is None else self.read_value(request)


class Dispatch:
    """Methods, and which of their jobs start."""

    def __init__(self, limits: JobLimits) -> None:
        self._limits = limits
        self.methods: dict[str, Method] = {}
        self.by_id: dict[int, Method] = {}
        self._turns: OrderedDict[int, None] = OrderedDict()
        """Methods that may have ready jobs, in order of their turns."""
        self._wakes: list[tuple[float, int, int, str | None]] = []
        """When, in the order of asking, a value of a method opens again, or (None) the method itself."""
        self._wakes_asked = 0
        self.unsorted = Unsorted()
        self._asleep: dict[int, float] = {}
        """Methods that the fleet's rate keeps back, and until when."""

    @property
    def next_wake(self) -> float | None:
        """Return when `wake` has something to do."""
        return self._wakes[0][0] if self._wakes else None

    def method(self, name: str, now: float) -> Method:
        """Return a method, made if need be, with a policy of defaults."""
        method = self.methods.get(name)
        if method is None:
            method = self.methods[name] = Method(name, Policy(), now, self._limits)
        return method

    # --- ready jobs ---------------------------------------------------------------------------------------------------

    def has_ready(self, flow: Flow) -> None:
        """Note that a flow has ready jobs."""
        method = self.by_id[flow.method]
        if flow.value == UNSORTED:
            self.unsorted.add(method.id, flow.rank)
            return
        method.flows.add(flow.rank, flow.value)
        self._turns.setdefault(method.id, None)

    def reread(self, method: Method) -> None:
        """Note that the store may have ready jobs that nobody has told of."""
        method.flows.reread()
        self._turns.setdefault(method.id, None)

    def limits_changed(self, method: Method, now: float) -> None:
        """Weigh anew what a method's limits keep back; they are those of its policy now."""
        method.gate.change(method.policy, now)
        method.flows.unpark_all()
        self._asleep.pop(method.id, None)

    def pages(self) -> list[FlowPage]:
        """Return which flows to read from the store."""
        limit = min(PAGE_FLOWS_MAX, max(1, self._limits.flows_max // 2))
        wanting = [self.by_id[id_] for id_ in self._turns if self.by_id[id_].flows.wants_more]
        return [FlowPage(method.id, method.flows.read_up_to, limit) for method in wanting]

    def take_pages(self, asked: Sequence[FlowPage], pages: Sequence[Sequence[tuple[int, str]]]) -> None:
        """Take flows that were read."""
        for page, found in zip(asked, pages, strict=True):
            self.by_id[page.method].flows.add_page(found, is_last=len(found) < page.limit)
            for rank, value in found:
                if value == UNSORTED:
                    self.unsorted.add(page.method, rank)

    # --- choosing -----------------------------------------------------------------------------------------------------

    def wake(self, now: float) -> None:
        """Open what a rate has kept back until now."""
        while self._wakes and self._wakes[0][0] <= now:
            at, _, id_, value = heapq.heappop(self._wakes)
            method = self.by_id[id_]
            if value is None:
                self._asleep.pop(id_, None)
            else:
                if method.sleeps.get(value) == at:
                    del method.sleeps[value]
                self._reconsider(method, value, now)

    def seek(self, slots: Slots, now: float) -> None:
        """Keep the slots that ready jobs could take from those that are new: else these would always be before them."""
        for method in self.seeking(now):
            slots.seek(method)

    def seeking(self, now: float) -> Iterator[str]:
        """Yield the methods whose ready jobs could start."""
        for method in self.awake():
            opens_at = method.gate.opens_at(now)
            if method.flows.has_open and opens_at is not None and opens_at <= now:
                yield method.name

    def admits_at_once(self, method: Method, rank: int, value: str, slots: Slots, now: float) -> bool:
        """Return whether a new job may start without waiting as a ready one; if so, everything is reserved.

        It may not if others wait that could go before it.
        """
        flows, gate = method.flows, method.gate
        if flows.has_open or not flows.is_whole or flows.is_parked(value):
            return False
        if value == UNSORTED or self.unsorted.has(method.id):
            return False
        if not gate.is_open:
            for opens_at in (gate.opens_at(now), gate.opens_for(value, now)):
                if opens_at is None or opens_at > now:
                    return False
        if not slots.take_spare(method.name):
            return False
        gate.start(value, suspicion_of(rank), now)
        return True

    def choose(self, slots: Slots, now: float, jobs_max: int) -> list[Claim]:
        """Return what to start. Methods take turns with the slots that they share."""
        chosen: dict[Flow, int] = {}
        waiting = [method for method in self.awake() if slots.of(method.name)]
        while waiting and jobs_max > 0:
            still = []
            for method in waiting:
                # What the others could use as well is shared with them.
                share = min(jobs_max, max(1, slots.of(method.name) // len(waiting)))
                taken = self._pick(method, min(share, slots.of(method.name)), now, chosen)
                if taken:
                    slots.take(method.name, taken)
                    jobs_max -= taken
                    still.append(method)
                    self._turns.move_to_end(method.id)
            waiting = [method for method in still if slots.of(method.name)]
        return [Claim(flow, count) for flow, count in chosen.items()]

    def settle(self, claims: Sequence[Claim], started: Sequence[Sequence[ClaimedJob]], now: float) -> None:
        """Give back what was reserved and not used, and forget flows that have come to their end."""
        for (flow, count), jobs in zip(claims, started, strict=True):
            if len(jobs) < count:
                method = self.by_id[flow.method]
                method.flows.drop(flow.rank, flow.value)
                self.undo(flow, count - len(jobs), now)
        for id_ in [id_ for id_ in self._turns if self._is_done(self.by_id[id_])]:
            del self._turns[id_]

    def undo(self, flow: Flow, count: int, now: float) -> None:
        """Give back reservations for jobs of a flow."""
        method, suspicion = self.by_id[flow.method], suspicion_of(flow.rank)
        for _ in range(count):
            method.gate.undo(flow.value, suspicion)
        self._asleep.pop(method.id, None)
        self._reconsider(method, flow.value, now)

    def end(self, flow: Flow, jobs: int, now: float) -> None:
        """Note that so many jobs of this flow run no longer."""
        method = self.by_id[flow.method]
        method.gate.end(flow.value, suspicion_of(flow.rank), jobs)
        self._reconsider(method, flow.value, now)

    def why_closed(self, name: str, rank: int, value: str, now: float) -> str:
        """Return in words which limit keeps a flow back; empty if none does."""
        method = self.methods.get(name)
        if method is None:
            return ""
        if value == UNSORTED and not method.is_known:
            return f"the job options of {name} cannot be used, so its limits are not known; the hub's log says why"
        gate, policy = method.gate, method.policy
        if not gate.lets_suspect(suspicion_of(rank)):
            return "its worker died before; others like it run now, and only few may at once"
        for opens_at, limit, whose in (
            (gate.opens_at(now), policy.limit, name),
            (gate.opens_for(value, now), policy.limit_each, f"{policy.by} {value!r}"),
        ):
            if opens_at is None:
                return f"{limit.running} of {whose} run, which is the limit"
            if opens_at > now:
                return f"the rate of {whose} lets the next one start in {opens_at - now:.1f} s"
        return ""

    # --- within -------------------------------------------------------------------------------------------------------

    def _is_done(self, method: Method) -> bool:
        return not len(method.flows) and method.flows.is_whole

    def _pick(self, method: Method, count: int, now: float, chosen: dict[Flow, int]) -> int:
        """Choose up to so many jobs of a method; return how many."""
        taken = 0
        for rank in method.flows.ranks():
            if method.gate.is_open and suspicion_of(rank) == 0 and not method.policy.by:
                taken += self._pick_plainly(method, rank, count - taken, chosen)
            else:
                taken += self._pick_in_turn(method, rank, count - taken, now, chosen)
            if taken == count or method.id in self._asleep:
                break
        return taken

    def _pick_plainly(self, method: Method, rank: int, count: int, chosen: dict[Flow, int]) -> int:
        """Choose from one flow after the other; without limits there is nothing to weigh, job by job."""
        value = method.flows.next(rank)
        if value is None:
            return 0
        method.gate.count(value, 0, count)
        flow = Flow(method.id, rank, value)
        chosen[flow] = chosen.get(flow, 0) + count
        return count

    def _pick_in_turn(self, method: Method, rank: int, count: int, now: float, chosen: dict[Flow, int]) -> int:
        """Choose one job of each value after the other, as the limits let them."""
        gate, suspicion, taken = method.gate, suspicion_of(rank), 0
        while taken < count and gate.lets_suspect(suspicion):
            opens_at = gate.opens_at(now)
            if opens_at is None or opens_at > now:
                self._sleep(method, opens_at)
                break
            value = method.flows.next(rank)
            if value is None:
                break
            opens_at = gate.opens_for(value, now)
            if opens_at is None or opens_at > now:
                method.flows.park(value)
                self._wake_value_at(method, value, opens_at)
                continue
            gate.start(value, suspicion, now)
            flow = Flow(method.id, rank, value)
            chosen[flow] = chosen.get(flow, 0) + 1
            taken += 1
        return taken

    def _sleep(self, method: Method, until: float | None) -> None:
        """Keep a method back until a time; one that is full just finds itself full again when it has its turn."""
        if until is not None and self._asleep.get(method.id, -1.0) < until:
            self._asleep[method.id] = until
            self._wake_at(until, method, None)

    def _wake_value_at(self, method: Method, value: str, at: float | None) -> None:
        if at is not None and at < method.sleeps.get(value, math.inf):
            method.sleeps[value] = at
            self._wake_at(at, method, value)

    def _wake_at(self, at: float, method: Method, value: str | None) -> None:
        self._wakes_asked += 1
        heapq.heappush(self._wakes, (at, self._wakes_asked, method.id, value))

    def _reconsider(self, method: Method, value: str, now: float) -> None:
        """Open the flows of a value if its limits let them."""
        if not method.flows.is_parked(value):
            return
        opens_at = method.gate.opens_for(value, now)
        if opens_at is not None and opens_at <= now:
            method.flows.unpark(value)
        else:
            self._wake_value_at(method, value, opens_at)

    def awake(self) -> Iterator[Method]:
        """Yield the methods that have jobs to start, or flows to read."""
        for id_ in self._turns:
            method = self.by_id[id_]
            if id_ not in self._asleep and (method.flows.has_open or not method.flows.is_whole):
                yield method
