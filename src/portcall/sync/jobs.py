"""Jobs on a blocking channel: the asynchronous handles, waited for from any thread."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, Generic, TypeVar, Unpack

from portcall.client.jobs import handles
from portcall.client.jobs.methods import JobMethod, finished, only
from portcall.client.jobs.submitting import BATCHES_UNDER_WAY, SubmitOptions
from portcall.client.jobs.telling import JobEvent, JobStatus
from portcall.core.jobs.states import JobState
from portcall.sync.asking import Question, iterate
from portcall.sync.engine import Engine
from portcall.sync.transport import BlockingTransport

Reply = TypeVar("Reply")
Result = TypeVar("Result")


class AnyJob(Generic[Result]):
    """What handles of all jobs have. A handle holds nothing: without it, the job goes on. Any thread may use it."""

    __slots__ = ("_inner", "_owner")

    def __init__(self, owner: "JobOwner", inner: Any) -> None:
        self._owner = owner
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def id(self) -> str:
        """Return the job's id."""
        found: str = self._inner.id
        return found

    @property
    def existed(self) -> bool:
        """Return whether the job was there already when this was submitted, under the same key or step."""
        found: bool = self._inner.existed
        return found

    def result(self, timeout: float | None = None) -> Result:
        """Wait until the job has ended, through restarts of the hub; return its result.

        Raises:
            JobError: the job has ended with another status than OK.
            TimeoutError: it has not ended after `timeout` seconds. It goes on.
        """
        inner = self._inner
        if inner.ending is None:
            inner = self._on_loop()
            Question(self._owner.engine(), inner.ended).result(timeout)
        elif inner.has_ahead:
            self._owner.engine().post(inner.look_ahead)
        found: Result = inner.result()
        return found

    def status(self) -> JobStatus:
        """Ask how the job stands.

        Raises:
            JobError: there is no such job (any more): NOT_FOUND.
        """
        found: JobStatus = Question(self._owner.engine(), self._on_loop().status).result()
        return found

    def cancel(self) -> JobState:
        """Cancel the job and its children; return its state. One that runs is CANCELLING until it has stopped."""
        found: JobState = Question(self._owner.engine(), self._on_loop().cancel).result()
        return found

    def events(self, *, after: int = 0) -> Generator[JobEvent, None, None]:
        """Yield what happens to the job, from behind the event number `after`, until it has ended."""
        return iterate(self._owner.engine(), self._on_loop().events(after=after))

    def _on_loop(self) -> Any:
        """Return the handle of the engine that runs now: after a fork it is another one."""
        self._inner = self._owner.adopt(self._inner)
        return self._inner


class Job(AnyJob[Reply]):
    """A job of a unary method; its result is the reply."""

    __slots__ = ()


class StreamJob(AnyJob[None], Generic[Reply]):
    """A job of a server-streaming method, whose replies are stored as a sequence; its result is None."""

    __slots__ = ()

    def replies(self, offset: int = 0) -> Generator[Reply, None, None]:
        """Yield the replies as they come, from the one at `offset` on; see `portcall.client.jobs.handles.StreamJob`."""
        return iterate(self._owner.engine(), self._on_loop().replies(offset))


class JobOwner:
    """A method of a blocking channel whose calls can be jobs."""

    def __init__(
        self,
        transport: BlockingTransport,
        kind: type[AnyJob[Any]],
        method: str,
        serialize: Callable[[Any], bytes] | None,
        parse: Callable[[bytes], Any] | None,
    ) -> None:
        self._transport = transport
        self._kind = kind
        self._make = partial(
            JobMethod,
            kind=handles.StreamJob if kind is StreamJob else handles.Job,
            method=method,
            serialize=serialize,
            parse=parse,
        )

    def engine(self) -> Engine:
        """Return the channel's engine."""
        return self._transport.engine()

    def method(self) -> JobMethod:
        """Return the method on the engine that runs now."""
        return self._make(self.engine().session.jobs)

    def adopt(self, inner: handles.AnyJob[Any]) -> Any:
        """Return a handle of the same job on the engine that runs now."""
        keeper = self.engine().session.jobs
        return inner if inner.is_of(keeper) else self._make(keeper).job(inner.id, inner.existed)

    def handle(self, inner: Any) -> Any:
        """Return what a thread may use of a handle; a `SubmitError` stays what it is."""
        return self._kind(self, inner) if isinstance(inner, handles.AnyJob) else inner


class Submittable:
    """A method with one request, whose call can be a job; see `portcall.client.channel.Submittable`."""

    _jobs: JobOwner

    def submit(
        self,
        request: Any,
        *,
        key: str | None = None,
        step: str | None = None,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Any:
        """Submit a job; return its handle when the hub has it on disk.

        Raises:
            SubmitError: the hub refuses it, or could not be asked, or nobody can know.
            ConfigurationError: an option cannot be.
        """
        submitter = self._jobs.method().submitter(key=key, step=step, timeout_s=timeout, options=options)
        (batch,) = submitter.batching.batches([request])
        question = Question(self._jobs.engine(), lambda: submitter.send(batch))
        return self._jobs.handle(only(question.result()))

    def submit_many(
        self,
        requests: Iterable[Any],
        *,
        key: Callable[[Any], str] | None = None,
        step: Callable[[Any], str] | None = None,
        timeout: float | None = None,
        return_exceptions: bool = False,
        **options: Unpack[SubmitOptions],
    ) -> list[Any]:
        """Submit a job for each request, in batches; return their handles in the order of the requests.

        Requests are taken in the thread that calls.

        Raises:
            SubmitError, ConfigurationError: as for `submit`.
        """
        owner = self._jobs
        submitter = owner.method().submitter(key=key, step=step, timeout_s=timeout, options=options, is_many=True)
        results: list[Any] = []
        under_way: deque[Question[list[Any]]] = deque()
        try:
            for batch in submitter.batching.batches(requests):
                under_way.append(Question(owner.engine(), partial(submitter.send, batch)))
                if len(under_way) >= BATCHES_UNDER_WAY:
                    results += under_way.popleft().result()
            while under_way:
                results += under_way.popleft().result()
        finally:
            for question in under_way:
                question.cancel()
        return finished(results, return_exceptions=return_exceptions, wrap=owner.handle)

    def job(self, job_id: str) -> Any:
        """Return the handle of a job of this method by its id, wherever it was submitted. Asks nobody."""
        return self._jobs.handle(self._jobs.method().job(job_id))
