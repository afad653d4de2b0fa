"""A switchboard on a stand: ports whose frames go into lists, and a clock that only the test moves."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from portcall.core.attempts import AttemptPort, AttemptSwitchboard
from portcall.core.calls import Call, ClientPort, WorkerPort
from portcall.core.limits import CallLimits
from portcall.core.switchboard import Switchboard
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Credit,
    End,
    Frame,
    HalfClose,
    JobAttempt,
    Message,
    Metadatum,
    Open,
)

METHOD = "/test.Service/Method"
OTHER = "/test.Service/Other"

LIMITS = CallLimits(worker_wait_max_s=30.0, settle_s=3.0)


class Sink:
    """A port's way out, with nothing behind it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.sizes: list[int] = []
        """Bytes of each frame, as the switchboard told them; -1 for what went ahead."""
        self.dropped: list[int] = []
        self.bytes_held = 0

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        self.frames.append(frame)
        self.sizes.append(message_bytes)

    def send_ahead(self, frame: Frame, /) -> None:
        self.frames.append(frame)
        self.sizes.append(-1)

    def drop_chunks(self, call_id: int, /) -> None:
        self.dropped.append(call_id)

    def take(self) -> list[Frame]:
        """Remove and return what has come."""
        frames, self.frames, self.sizes = self.frames, [], []
        return frames


class Client:
    """A client's port with its sink; opens calls under rising ids."""

    def __init__(self, stand: "Stand", name: str) -> None:
        self.sink = Sink()
        self.port = ClientPort(name, self.sink)
        self._stand = stand
        self._ids = count(1)

    def open(self, method: str = METHOD, **opening: object) -> int:
        """Open a call, half-closed unless it is said otherwise; return its id."""
        call_id = next(self._ids)
        fields: dict[str, object] = {"half_close": True, **opening}
        self.send(Frame(call_id=call_id, open=Open(method=method, **fields)))  # type: ignore[arg-type]
        return call_id

    def send(self, *frames: Frame) -> None:
        self._stand.board.from_client(self.port, frames, self._stand.now)

    def message(self, call_id: int, data: bytes = b"", *, more: bool = False) -> None:
        self.send(Frame(call_id=call_id, message=Message(data=data, more=more)))

    def half_close(self, call_id: int) -> None:
        self.send(Frame(call_id=call_id, half_close=HalfClose()))

    def cancel(self, call_id: int) -> None:
        self.send(Frame(call_id=call_id, cancel=Cancel()))

    def grant(self, call_id: int, count: int) -> None:
        self.send(Frame(call_id=call_id, credit=Credit(bytes=count)))

    def ends(self) -> dict[int, End]:
        """Return the ends that have come, by call id, and forget all else that has."""
        ends: dict[int, End] = {}
        for frame in self.sink.take():
            if frame.HasField("end"):
                assert frame.call_id not in ends, f"call {frame.call_id} of {self.port.name} ended twice"
                ends[frame.call_id] = frame.end
        return ends

    def end(self, call_id: int) -> End:
        """Return the end of a call; it must be the only one that has come."""
        ends = self.ends()
        assert set(ends) == {call_id}
        return ends[call_id]

    def call(self, call_id: int) -> Call:
        """Return the switchboard's own view of a live call."""
        return self.port.calls[call_id]


class Worker:
    """A worker's port with its sink."""

    def __init__(self, stand: "Stand", name: str, slots: int) -> None:
        self.sink = Sink()
        self.port = WorkerPort(name, self.sink, slots)
        self._stand = stand

    def send(self, *frames: Frame) -> None:
        self._stand.board.from_worker(self.port, frames, self._stand.now)

    def opens(self) -> list[Frame]:
        """Return the opens that have come, and forget all else that has."""
        return [frame for frame in self.sink.take() if frame.HasField("open")]

    def message(self, call_id: int, data: bytes = b"", *, more: bool = False) -> None:
        self.send(Frame(call_id=call_id, message=Message(data=data, more=more)))

    def grant(self, call_id: int, count: int) -> None:
        self.send(Frame(call_id=call_id, credit=Credit(bytes=count)))

    def end(self, call_id: int, status: int = 0, **fields: object) -> None:
        self.send(Frame(call_id=call_id, end=End(status=status, **fields)))  # type: ignore[arg-type]

    def end_oldest(self) -> None:
        """End the call that has been here longest."""
        self.end(next(iter(self.port.calls)))


class Stand:
    """A switchboard whose settle time is over, unless `is_settled` is false."""

    def __init__(self, *, is_settled: bool = True, **limits: float) -> None:
        self.limits = replace(LIMITS, **limits)  # type: ignore[arg-type]
        self.now = 1_000.0
        self.board = Switchboard(self.limits, self.now)
        if is_settled:
            self.now += self.limits.settle_s
        self._names = count(1)

    def client(self) -> Client:
        return Client(self, f"ipv4:10.0.0.{next(self._names)}:40000")

    def worker(self, *methods: str, slots: int = 1) -> Worker:
        """Attach a worker of these methods; of `METHOD` if none is said."""
        worker = Worker(self, f"worker-{next(self._names)}", slots)
        self.board.add_worker(worker.port, methods or (METHOD,), self.now)
        return worker

    def lose(self, worker: Worker, unsent: dict[int, list[Frame]] | None = None) -> None:
        self.board.remove_worker(worker.port, unsent or {}, self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick at its end."""
        self.now += seconds
        self.board.tick(self.now)

    def check_idle(self) -> None:
        """Assert that nothing of any call is left."""
        board = self.board
        assert (board.calls_running, board.calls_waiting, board.bytes_waiting) == (0, 0, 0)


def metadata_of(size: int) -> list[Metadatum]:
    """Return one entry of metadata that counts for this many bytes."""
    return [Metadatum(key="k", value=b"v" * (size - 33))]


class JobSink(Sink):
    """A port's way out that hears of lost attempts too."""

    def __init__(self) -> None:
        super().__init__()
        self.placements: dict[int, WorkerPort] = {}
        self.losses: list[tuple[list[int], WorkerPort | None, bool]] = []

    def placed(self, call_id: int, worker: WorkerPort, /) -> None:
        self.placements[call_id] = worker

    def lost(self, call_ids: Sequence[int], worker: WorkerPort | None, /, *, is_begun: bool) -> None:
        self.losses.append((list(call_ids), worker, is_begun))

    def take_losses(self) -> list[tuple[list[int], WorkerPort | None, bool]]:
        """Remove and return what was lost."""
        losses, self.losses = self.losses, []
        return losses


class Jobs(Client):
    """A port of attempts with its sink."""

    def __init__(self, stand: "JobStand") -> None:
        super().__init__(stand, "jobs")
        self.sink: JobSink = JobSink()
        self.port: AttemptPort = AttemptPort("jobs", self.sink)

    def attempt(self, job: int, number: int = 1, method: str = METHOD, **opening: object) -> int:
        """Open an attempt; return the id of its call."""
        return self.open(method, attempt=JobAttempt(job=job, number=number), **opening)


class JobStand(Stand):
    """A stand whose switchboard takes attempts."""

    def __init__(self, *, is_settled: bool = True, **limits: float) -> None:
        super().__init__(is_settled=is_settled, **limits)
        settled_s = self.limits.settle_s if is_settled else 0.0
        self.board: AttemptSwitchboard = AttemptSwitchboard(self.limits, self.now - settled_s)

    def jobs(self) -> Jobs:
        return Jobs(self)
