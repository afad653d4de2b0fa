"""Mine documents over any channel whose unary calls have `map`, as those of `portcall.Channel` do.

The three parts of the work run side by side: while documents are still being extracted all over the fleet, those that
are done flow on into one `Count` and one `Rank` call, and first keywords come back. When the last one is counted, the
statistics of the whole corpus follow into the same `Rank` call, and the final keywords come back.

`Count` and `Rank` each occupy a slot of some worker from the first document to the last, so the fleet needs three.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import grpc
import report
import textmine_pb2 as pb
from findings import Findings
from results import Counted, Extracted, Listed, MiningOptions, MiningResult, OnProgress, Progress
from textmine_pb2_grpc import TextMineStub

if TYPE_CHECKING:
    import portcall

EXTRACT_ATTEMPTS_MAX = 3
"""How often a document is asked for whose worker was lost. Extracting twice does no harm."""

FEED_MESSAGES_MAX = 64
"""How many documents may wait to be counted or ranked; past that, extraction waits."""

M = TypeVar("M")
Outcome = pb.ExtractReply | grpc.aio.AioRpcError


async def mine(channel: "portcall.Channel", options: MiningOptions, on_progress: OnProgress) -> MiningResult:
    """Mine the documents that the options name, and report each step to `on_progress`.

    A document that cannot be read is listed in the result's `unmined`, and is no error. A document whose worker is
    lost is asked for again. Raises `grpc.aio.AioRpcError` if the directory cannot be listed, or if the worker is lost
    that counts or ranks.
    """
    started = time.monotonic()
    stub = TextMineStub(channel)
    documents = await _listed(stub, options)
    on_progress(Listed(document_count=len(documents)))
    findings = Findings(documents)
    counting, ranking = Feed[pb.DocumentTerms](), Feed[pb.RankRequest]()
    with _first_error():
        extraction = _extract(stub, findings, options, on_progress)
        if options.is_staged:
            extraction = _again([terms async for terms in extraction])
        async with asyncio.TaskGroup() as tasks, aclosing(extraction):
            statistics = tasks.create_task(_count(stub, counting))
            tasks.create_task(_rank(stub, ranking, findings, on_progress))
            async for terms in extraction:
                await counting.put(terms)
                await ranking.put(pb.RankRequest(document=terms))
            await counting.end()
            on_progress(findings.on_statistics(await statistics))
            await ranking.put(pb.RankRequest(frequencies=statistics.result().frequencies))
            await ranking.end()
    return findings.result(root=options.root, elapsed_s=time.monotonic() - started)


class Feed(Generic[M]):
    """A request stream that is written to from elsewhere. A writer waits while `FEED_MESSAGES_MAX` are unread."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[M | None] = asyncio.Queue(FEED_MESSAGES_MAX)

    async def put(self, message: M) -> None:
        """Send a message."""
        await self._messages.put(message)

    async def end(self) -> None:
        """Say that no more messages come."""
        await self._messages.put(None)

    async def __aiter__(self) -> AsyncIterator[M]:
        while (message := await self._messages.get()) is not None:
            yield message


async def _listed(stub: TextMineStub, options: MiningOptions) -> list[pb.Document]:
    request = pb.ListRequest(
        root=options.root, documents_max=options.documents_max, document_bytes_max=options.document_bytes_max
    )
    return [document async for document in stub.List(request)]


async def _again(extracted: Sequence[pb.DocumentTerms]) -> AsyncGenerator[pb.DocumentTerms, None]:
    for terms in extracted:
        yield terms


async def _extract(
    stub: TextMineStub, findings: Findings, options: MiningOptions, on_progress: OnProgress
) -> AsyncGenerator[pb.DocumentTerms, None]:
    found = (_jobs if options.run else _outcomes)(stub, findings.documents, options)
    async with aclosing(found) as outcomes:
        async for document, outcome in outcomes:
            if isinstance(outcome, grpc.aio.AioRpcError):
                on_progress(findings.on_problem(document, f"{outcome.code().name}: {outcome.details()}"))
                continue
            on_progress(findings.on_extracted(document, outcome))
            if not outcome.skipped:
                yield outcome.terms


async def _outcomes(
    stub: TextMineStub, documents: Sequence[pb.Document], options: MiningOptions
) -> AsyncGenerator[tuple[pb.Document, Outcome], None]:
    waiting = documents
    for attempt in range(1, EXTRACT_ATTEMPTS_MAX + 1):
        lost: list[pb.Document] = []
        requests = [pb.ExtractRequest(root=options.root, document_id=document.id) for document in waiting]
        remaining = iter(waiting)
        async for outcome in stub.Extract.map(requests, limit=options.calls_max, return_exceptions=True):
            document = next(remaining)
            if attempt < EXTRACT_ATTEMPTS_MAX and _is_lost(outcome):
                lost.append(document)
            else:
                yield document, outcome
        waiting = lost


async def _jobs(
    stub: TextMineStub, documents: Sequence[pb.Document], options: MiningOptions
) -> AsyncGenerator[tuple[pb.Document, Outcome], None]:
    """Extract by jobs: whatever dies meanwhile, each document has one outcome. Yield these as they come."""

    async def outcome_of(document: pb.Document, job: "portcall.Job[pb.ExtractReply]") -> tuple[pb.Document, Outcome]:
        try:
            return document, await job
        except grpc.aio.AioRpcError as error:
            return document, error

    requests = [pb.ExtractRequest(root=options.root, document_id=document.id) for document in documents]
    jobs = await stub.Extract.submit_many(
        requests, key=lambda request: f"{options.run} {request.document_id}"[-512:], labels={"run": options.run}
    )
    for ended in asyncio.as_completed(map(outcome_of, documents, jobs)):
        yield await ended


def _is_lost(outcome: Outcome) -> bool:
    return isinstance(outcome, grpc.aio.AioRpcError) and outcome.code() is grpc.StatusCode.UNAVAILABLE


async def _count(stub: TextMineStub, documents: Feed[pb.DocumentTerms]) -> pb.CorpusStatistics:
    return await stub.Count(documents)


async def _rank(
    stub: TextMineStub, requests: Feed[pb.RankRequest], findings: Findings, on_progress: OnProgress
) -> None:
    async for ranking in stub.Rank(requests):
        on_progress(findings.on_ranking(ranking))


@contextmanager
def _first_error() -> Iterator[None]:
    """Raise the error that ended a task group in place of the group: the others only followed from it."""
    try:
        yield
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def main() -> None:
    """Mine on a fleet, print what happens and write the report."""
    import portcall  # noqa: PLC0415 - so that `mine` can be had without it

    parser = argparse.ArgumentParser(description="Find what a body of documents is about, on a Portcall fleet.")
    parser.add_argument("--hub", default=None, metavar="HOST:PORT", help="the hub [PORTCALL_HUB, or 127.0.0.1:7070]")
    parser.add_argument("--input", type=Path, help="a directory of the workers' hosts [Python's standard library]")
    parser.add_argument("--out", type=Path, default=Path("textmine-out"), help="where to write the report")
    given = parser.parse_args()
    options = MiningOptions(root=str(given.input.resolve()) if given.input else "")
    async with portcall.Channel(given.hub) as channel:
        try:
            result = await mine(channel, options, _print)
        except grpc.aio.AioRpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    for share in result.workers:
        print(f"{share.worker} did {share.document_count} documents")
    for path in report.write(result, given.out):
        print(f"wrote {path}")


def _print(event: Progress) -> None:
    match event:
        case Listed(document_count=count):
            print(f"{count} documents")
        case Extracted(document_id=name, problem=problem) if problem:
            print(f"{name}: {problem}")
        case Extracted(done=done, document_count=count) if done == count or done % max(1, count // 5) == 0:
            print(f"extracted {done} of {count}")
        case Counted(document_count=count, term_total=total):
            print(f"counted {total} terms in {count} documents")


if __name__ == "__main__":
    asyncio.run(main())
