"""A method as jobs: what `submit`, `submit_many` and `job` of a multi-callable do, on either kind of channel."""

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, TypeVar

from portcall.client.jobs.handles import AnyJob
from portcall.client.jobs.keeper import JobKeeper
from portcall.client.jobs.submitting import (
    Batching,
    Each,
    SubmitOptions,
    Submitter,
    chained,
    check_all,
    shared_part,
)

JobT = TypeVar("JobT", bound=AnyJob[Any])


class JobMethod:
    """A method whose calls can be jobs."""

    def __init__(
        self,
        keeper: JobKeeper,
        kind: type[AnyJob[Any]],
        method: str,
        serialize: Callable[[Any], bytes] | None,
        parse: Callable[[bytes], Any] | None,
    ) -> None:
        self._keeper = keeper
        self._kind = kind
        self._method = method
        self._serialize = serialize or bytes
        self._parse = parse or bytes

    async def submit(
        self, request: Any, *, key: Each, step: Each, timeout_s: float | None, options: SubmitOptions
    ) -> Any:
        """Submit one job; return its handle.

        Raises:
            SubmitError: the hub refuses it, or could not be asked.
        """
        found = await self._send([request], key=key, step=step, timeout_s=timeout_s, options=options)
        if isinstance(found[0], AnyJob):
            return found[0]
        raise found[0]

    async def submit_many(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        key: Each,
        step: Each,
        timeout_s: float | None,
        return_exceptions: bool,
        options: SubmitOptions,
    ) -> list[Any]:
        """Submit a job for each request; return what became of each, in their order.

        Raises:
            SubmitError: some were not submitted, and that is not to be returned; it has all that became of the others.
        """
        if isinstance(key, str) or isinstance(step, str):
            raise TypeError("key and step of many jobs are functions that make them of each request")
        found = await self._send(requests, key=key, step=step, timeout_s=timeout_s, options=options)
        chained(found)
        if not return_exceptions:
            check_all(found)
        return found

    def job(self, job_id: str, existed: bool = True) -> Any:
        """Return a handle of a job by its id, without asking anybody."""
        return self._kind(self._keeper, job_id, self._method, self._parse, existed=existed)

    async def _send(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        key: Each,
        step: Each,
        timeout_s: float | None,
        options: SubmitOptions,
    ) -> list[Any]:
        shared = shared_part(self._method, options, has_step=step is not None)
        submitter: Submitter[Any] = Submitter(self._keeper.connections, self.job, timeout_s)
        return await submitter.send_all(requests, Batching(shared, self._serialize, key, step))
