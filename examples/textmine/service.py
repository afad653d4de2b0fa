"""The TextMine service: an ordinary servicer of grpcio, that any `grpc.aio` server can serve.

It only translates: from messages to values, from our errors to status codes. What blocks or computes for long goes to
a thread, so that the event loop can answer others meanwhile.
"""
# ruff: noqa: D102 - the methods are named and described by textmine.proto

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from types import MappingProxyType
from typing import Any

import documents
import grpc
import mining
import terms
import textmine_pb2 as pb
from textmine_pb2_grpc import TextMineServicer

Context = grpc.aio.ServicerContext[Any, Any]

LISTING_BATCH = 256
"""So many documents are looked up in one go, between two looks at the event loop."""

_STATUS_BY_ERROR: Mapping[type[documents.DocumentError], grpc.StatusCode] = MappingProxyType(
    {
        documents.OutsideRootError: grpc.StatusCode.INVALID_ARGUMENT,
        documents.MissingError: grpc.StatusCode.NOT_FOUND,
        documents.UnreadableError: grpc.StatusCode.PERMISSION_DENIED,
    }
)
_KINDS: Mapping[terms.Kind, pb.Kind] = MappingProxyType(
    {
        terms.Kind.TEXT: pb.KIND_TEXT,
        terms.Kind.HTML: pb.KIND_HTML,
        terms.Kind.SOURCE: pb.KIND_SOURCE,
    }
)
_SKIPPED: Mapping[documents.Skipped, pb.Skipped] = MappingProxyType(
    {
        documents.Skipped.BINARY: pb.SKIPPED_BINARY,
        documents.Skipped.UNDECODABLE: pb.SKIPPED_UNDECODABLE,
        documents.Skipped.TOO_LARGE: pb.SKIPPED_TOO_LARGE,
    }
)


class TextMine(TextMineServicer):
    """See `textmine.proto` for what each method promises."""

    async def List(self, request: pb.ListRequest, context: Context) -> AsyncIterator[pb.Document]:
        async with _refusals(context):
            found = documents.find(
                request.root,
                documents_max=request.documents_max,
                document_bytes_max=request.document_bytes_max,
            )
            while batch := await asyncio.to_thread(_take, found):
                for document in batch:
                    yield pb.Document(id=document.id, size_bytes=document.size_bytes, kind=_KINDS[document.kind])

    async def Extract(self, request: pb.ExtractRequest, context: Context) -> pb.ExtractReply:
        async with _refusals(context):
            return await asyncio.to_thread(_extract, request)

    async def Count(self, requests: AsyncIterator[pb.DocumentTerms], context: Context) -> pb.CorpusStatistics:
        corpus = mining.Corpus()
        async for document in requests:
            corpus.add(dict(document.counts), document.term_total)
        return _corpus_statistics(await asyncio.to_thread(corpus.statistics))

    async def Rank(self, requests: AsyncIterator[pb.RankRequest], context: Context) -> AsyncIterator[pb.Ranking]:
        ranker = mining.Ranker()
        async for request in requests:
            match request.WhichOneof("request"):
                case "document":
                    rankings = ranker.on_document(request.document.document_id, dict(request.document.counts))
                case "frequencies":
                    rankings = ranker.on_frequencies(_frequencies(request.frequencies))
                case _:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "send a document or frequencies")
            for ranking in rankings:
                yield _ranking(ranking)


def worker_name() -> str:
    """Return a name that no other worker of the fleet has."""
    return f"{socket.gethostname()}-{os.getpid()}"


@asynccontextmanager
async def _refusals(context: Context) -> AsyncIterator[None]:
    try:
        yield
    except documents.DocumentError as error:
        await context.abort(_STATUS_BY_ERROR[type(error)], f"{worker_name()}: {error}")


def _take(found: Iterator[documents.Document]) -> list[documents.Document]:
    return list(islice(found, LISTING_BATCH))


def _extract(request: pb.ExtractRequest) -> pb.ExtractReply:
    text = documents.read(request.root, request.document_id)
    reply = pb.ExtractReply(worker=worker_name())
    reply.terms.document_id = request.document_id
    if isinstance(text, documents.Skipped):
        reply.skipped = _SKIPPED[text]
        return reply
    extracted = terms.extract(text, documents.kind_of(request.document_id))
    reply.terms.counts.update(extracted.counts)
    reply.terms.term_total = extracted.total
    return reply


def _corpus_statistics(statistics: mining.Statistics) -> pb.CorpusStatistics:
    return pb.CorpusStatistics(
        frequencies=pb.DocumentFrequencies(
            document_count=statistics.frequencies.document_count,
            documents_by_term=statistics.frequencies.documents_by_term,
        ),
        term_total=statistics.term_total,
        top_terms=(
            pb.TermCount(term=top.term, count=top.count, document_count=top.document_count)
            for top in statistics.top_terms
        ),
        top_pairs=(
            pb.PairCount(first=top.first, second=top.second, document_count=top.document_count, strength=top.strength)
            for top in statistics.top_pairs
        ),
        undercount_max=statistics.undercount_max,
    )


def _frequencies(message: pb.DocumentFrequencies) -> mining.Frequencies:
    return mining.Frequencies(document_count=message.document_count, documents_by_term=dict(message.documents_by_term))


def _ranking(ranking: mining.Ranking) -> pb.Ranking:
    return pb.Ranking(
        document_id=ranking.document_id,
        keywords=_keywords(ranking.keywords),
        covered_document_count=ranking.covered_document_count,
    )


def _keywords(keywords: Iterable[mining.Keyword]) -> Iterator[pb.Keyword]:
    return (pb.Keyword(term=keyword.term, score=keyword.score, count=keyword.count) for keyword in keywords)
