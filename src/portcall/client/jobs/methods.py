"""A method as jobs: what `submit`, `submit_many` and `job` of a multi-callable do, on either kind of channel."""

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from portcall.client.jobs.errors import SubmitError
from portcall.client.jobs.handles import AnyJob
from portcall.client.jobs.keeper import JobKeeper
from portcall.client.jobs.submitting import (
    Batching,
    Each,
    SubmitOptions,
    Submitter,
    chain,
    check_all,
    shared_part,
)


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
        submitter = self.submitter(key=key, step=step, timeout_s=timeout_s, options=options)
        return only(await submitter.send_all([request]))

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
        submitter = self.submitter(key=key, step=step, timeout_s=timeout_s, options=options, is_many=True)
        return finished(await submitter.send_all(requests), return_exceptions=return_exceptions)

    def job(self, job_id: str, existed: bool = True) -> Any:
        """Return a handle of a job by its id, without asking anybody."""
        return self._kind(self._keeper, job_id, self._method, self._parse, existed=existed)

    def submitter(
        self, *, key: Each, step: Each, timeout_s: float | None, options: SubmitOptions, is_many: bool = False
    ) -> Submitter[Any]:
        """Return what makes and sends batches. To be called where the submitter's own context is."""
        if is_many and (isinstance(key, str) or isinstance(step, str)):
            raise TypeError("key and step of many jobs are functions that make them of each request")
        shared = shared_part(self._method, options, has_step=step is not None)
        batching = Batching(shared, self._serialize, key, step)
        return Submitter(self._keeper.connections, batching, self.job, timeout_s)


def only(results: list[Any]) -> Any:
    """Return the job of a submission.

    Raises:
        SubmitError: there is none.
    """
    if isinstance(results[0], SubmitError):
        raise results[0]
    return results[0]


def finished(results: list[Any], *, return_exceptions: bool, wrap: Callable[[Any], Any] | None = None) -> list[Any]:
    """Return what became of many submissions, ready to be awaited one after the other, each in what `wrap` makes of it.

    Raises:
        SubmitError: some were not submitted, and that is not to be returned.
    """
    chain(results)
    if wrap is not None:
        results = list(map(wrap, results))
    if not return_exceptions:
        check_all(results)
    return results
