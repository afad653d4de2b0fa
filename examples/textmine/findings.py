"""Gather the replies of a mining run, in whatever order they come, and make its result of them. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import textmine_pb2 as pb
from results import (
    Counted,
    Extracted,
    Keyword,
    MinedDocument,
    MiningResult,
    Ranked,
    TopPair,
    TopTerm,
    UnminedDocument,
    WorkerShare,
)


class Findings:
    """Takes replies in, gives the progress that they mean, and in the end the result."""

    def __init__(self, documents: Sequence[pb.Document]) -> None:
        self.documents = documents
        self._mined: dict[str, MinedDocument] = {}
        self._problems: dict[str, str] = {}
        self._keywords: dict[str, tuple[Keyword, ...]] = {}
        self._statistics = pb.CorpusStatistics()

    def on_extracted(self, document: pb.Document, reply: pb.ExtractReply) -> Extracted:
        """Take in what a worker found in a document, or why it did not look."""
        if reply.skipped:
            problem = pb.Skipped.Name(reply.skipped).removeprefix("SKIPPED_").replace("_", " ").lower()
            return self.on_problem(document, problem, worker=reply.worker)
        # The counts themselves are not kept: all of a corpus together may be larger than the client's memory.
        self._mined[document.id] = MinedDocument(
            id=document.id,
            kind=pb.Kind.Name(document.kind).removeprefix("KIND_").lower(),
            size_bytes=document.size_bytes,
            term_total=reply.terms.term_total,
            distinct_terms=len(reply.terms.counts),
            worker=reply.worker,
            keywords=(),
        )
        return self._extracted(document, worker=reply.worker, term_total=reply.terms.term_total)

    def on_problem(self, document: pb.Document, problem: str, *, worker: str = "") -> Extracted:
        """Take in why a document has no terms."""
        self._problems[document.id] = problem
        return self._extracted(document, worker=worker, problem=problem)

    def on_statistics(self, statistics: pb.CorpusStatistics) -> Counted:
        """Take in what the documents have in common."""
        self._statistics = statistics
        return Counted(document_count=statistics.frequencies.document_count, term_total=statistics.term_total)

    def on_ranking(self, ranking: pb.Ranking) -> Ranked:
        """Take in a document's keywords, in place of those that it had."""
        self._keywords[ranking.document_id] = tuple(
            Keyword(term=keyword.term, score=keyword.score, count=keyword.count) for keyword in ranking.keywords
        )
        return Ranked(
            document_id=ranking.document_id,
            keywords=tuple(keyword.term for keyword in ranking.keywords),
            covered_document_count=ranking.covered_document_count,
            done=len(self._keywords),
        )

    def result(self, *, root: str, elapsed_s: float) -> MiningResult:
        """Return all that has been taken in, documents in the order of the listing."""
        statistics = self._statistics
        return MiningResult(
            root=root,
            documents=tuple(
                replace(self._mined[document.id], keywords=self._keywords.get(document.id, ()))
                for document in self.documents
                if document.id in self._mined
            ),
            unmined=tuple(
                UnminedDocument(id=document.id, problem=self._problems[document.id])
                for document in self.documents
                if document.id in self._problems
            ),
            term_total=statistics.term_total,
            top_terms=tuple(
                TopTerm(term=top.term, count=top.count, document_count=top.document_count)
                for top in statistics.top_terms
            ),
            top_pairs=tuple(
                TopPair(first=top.first, second=top.second, document_count=top.document_count, strength=top.strength)
                for top in statistics.top_pairs
            ),
            undercount_max=statistics.undercount_max,
            workers=tuple(self._shares()),
            elapsed_s=elapsed_s,
        )

    def _extracted(self, document: pb.Document, *, worker: str, term_total: int = 0, problem: str = "") -> Extracted:
        return Extracted(
            document_id=document.id,
            worker=worker,
            term_total=term_total,
            problem=problem,
            done=len(self._mined) + len(self._problems),
            document_count=len(self.documents),
        )

    def _shares(self) -> Iterator[WorkerShare]:
        documents, sizes, totals = Counter[str](), Counter[str](), Counter[str]()
        for document in self._mined.values():
            documents[document.worker] += 1
            sizes[document.worker] += document.size_bytes
            totals[document.worker] += document.term_total
        for worker, document_count in documents.most_common():
            yield WorkerShare(
                worker=worker,
                document_count=document_count,
                size_bytes=sizes[worker],
                term_total=totals[worker],
            )
