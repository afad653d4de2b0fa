"""What documents have in common, and what sets each of them apart. Pure statistics over counted terms.

Both halves work on a stream, document by document, and hold a bounded amount of it: `Corpus` keeps counts and no
documents; `Ranker` keeps documents, up to `HELD_DOCUMENTS_MAX`, as it may have to rank them again.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Generic, TypeVar

from terms import most_frequent

CORPUS_TERMS_MAX = 250_000
"""Distinct terms whose occurrences are counted in one corpus."""

PAIRS_MAX = 500_000
"""Distinct pairs whose occurrences are counted in one corpus."""

PROMINENT_TERMS_MAX = 40
"""How many of a document's terms, the most frequent ones, are paired with each other."""

PAIR_DOCUMENTS_MIN = 3
"""In fewer documents a pair's company may be chance."""

FREQUENCIES_MAX = 60_000
"""How many terms' document frequencies are handed out; of terms of 40 characters these still fit in a 4 MiB message."""

TOP_TERMS_MAX = 40
TOP_PAIRS_MAX = 40

HELD_DOCUMENTS_MAX = 5_000
"""How many documents one `Ranker` holds; later ones keep their first ranking."""

HELD_TERMS_MAX = 100
"""How many terms of a document, the most frequent ones, can become its keywords."""

KEYWORDS_MAX = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequencies:
    """In how many of `document_count` documents each term occurs; a term that is left out occurs in one."""

    document_count: int
    documents_by_term: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedTerm:
    """A term of the corpus, and how often it occurs in how many documents."""

    term: str
    count: int
    document_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPair:
    """Two terms that are prominent in the same documents; `strength` is what `log_likelihood` says of them."""

    first: str
    second: str
    document_count: int
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a corpus has in common. No count in it is short by more than `undercount_max`."""

    frequencies: Frequencies
    term_total: int
    top_terms: tuple[RankedTerm, ...]
    top_pairs: tuple[RankedPair, ...]
    undercount_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyword:
    """A term that tells its document from the others."""

    term: str
    score: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """A document's keywords, best first, by the statistics of `covered_document_count` documents."""

    document_id: str
    keywords: tuple[Keyword, ...]
    covered_document_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What has to be kept of a document to rank it again."""

    candidates: Mapping[str, int]
    covered_document_count: int


class BoundedCounts(Generic[T]):
    """Counts of at most `entries_max` things; past that it forgets the rarer ones, down to half as many.

    This is lossy counting (Manku and Motwani, "Approximate Frequency Counts over Data Streams", 2002) without its
    fixed window: what is frequent is never forgotten, and no count is short by more than `undercount_max`.
    """

    def __init__(self, entries_max: int) -> None:
        self.counts: Counter[T] = Counter()
        self.undercount_max = 0
        self._entries_max = entries_max

    def add(self, things: Iterable[T] | Mapping[T, int]) -> None:
        """Count each thing once, or, given a mapping, as often as it says."""
        self.counts.update(things)
        if len(self.counts) > self._entries_max:
            self._forget_rarest()

    def _forget_rarest(self) -> None:
        surplus = len(self.counts) - self._entries_max // 2
        floor = heapq.nsmallest(surplus, self.counts.values())[-1]
        self.counts = Counter({thing: count for thing, count in self.counts.items() if count > floor})
        # A thing may be forgotten every time, at up to the floor of that time: the floors add up.
        self.undercount_max += floor


class Corpus:
    """The running statistics of a stream of documents."""

    def __init__(self) -> None:
        self._document_count = 0
        self._term_total = 0
        self._occurrences = BoundedCounts[str](CORPUS_TERMS_MAX)
        self._documents = BoundedCounts[str](CORPUS_TERMS_MAX)
        self._prominent = BoundedCounts[str](CORPUS_TERMS_MAX)
        self._pairs = BoundedCounts[tuple[str, str]](PAIRS_MAX)

    def add(self, counts: Mapping[str, int], term_total: int) -> None:
        """Count one document in."""
        self._document_count += 1
        self._term_total += term_total
        self._occurrences.add(counts)
        self._documents.add(counts.keys())
        prominent = sorted(term for term, _ in most_frequent(counts, PROMINENT_TERMS_MAX))
        self._prominent.add(prominent)
        self._pairs.add(combinations(prominent, 2))

    def statistics(self) -> Statistics:
        """Return what is known by now. Takes time in proportion to the distinct pairs."""
        counted = (self._occurrences, self._documents, self._prominent, self._pairs)
        return Statistics(
            frequencies=self._frequencies(),
            term_total=self._term_total,
            top_terms=tuple(self._top_terms()),
            top_pairs=tuple(self._top_pairs()),
            undercount_max=max(counts.undercount_max for counts in counted),
        )

    def _frequencies(self) -> Frequencies:
        shared = {term: count for term, count in self._documents.counts.items() if count > 1}
        return Frequencies(
            document_count=self._document_count,
            documents_by_term=dict(most_frequent(shared, FREQUENCIES_MAX)),
        )

    def _top_terms(self) -> Iterator[RankedTerm]:
        for term, count in most_frequent(self._occurrences.counts, TOP_TERMS_MAX):
            yield RankedTerm(term=term, count=count, document_count=self._documents.counts[term])

    def _top_pairs(self) -> Iterator[RankedPair]:
        strengths = {
            pair: self._strength(pair, count)
            for pair, count in self._pairs.counts.items()
            if count >= PAIR_DOCUMENTS_MIN
        }
        paired: set[str] = set()
        for (first, second), strength in sorted(strengths.items(), key=lambda item: (-item[1], item[0])):
            # Each term in its strongest pair only, or one tight cluster of terms would fill the list.
            if strength == 0.0 or len(paired) == 2 * TOP_PAIRS_MAX:
                return
            if paired.isdisjoint((first, second)):
                paired.update((first, second))
                count = self._pairs.counts[first, second]
                yield RankedPair(first=first, second=second, document_count=count, strength=strength)

    def _strength(self, pair: tuple[str, str], both: int) -> float:
        first, second = (max(both, self._prominent.counts[term]) for term in pair)
        return log_likelihood(both, first, second, max(self._document_count, first + second - both))


class Ranker:
    """Finds keywords by TF-IDF while the statistics are still growing.

    A document adds to the statistics and is ranked by them at once. Given `Frequencies` take their place for good
    (from then on documents no longer add to them), and what was ranked with fewer documents is ranked again.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._document_count = 0
        self._documents = BoundedCounts[str](CORPUS_TERMS_MAX)
        self._are_given = False

    def on_document(self, document_id: str, counts: Mapping[str, int]) -> Iterator[Ranking]:
        """Return the document's ranking by what is known now."""
        if not self._are_given:
            self._document_count += 1
            self._documents.add(counts.keys())
        candidates = dict(most_frequent(counts, HELD_TERMS_MAX))
        if len(self._held) < HELD_DOCUMENTS_MAX:
            self._held[document_id] = _Held(candidates=candidates, covered_document_count=self._document_count)
        yield self._ranked(document_id, candidates)

    def on_frequencies(self, frequencies: Frequencies) -> Iterator[Ranking]:
        """Return better rankings, one at a time: the caller may send each while the next is not computed yet."""
        self._are_given = True
        self._document_count = frequencies.document_count
        self._documents = BoundedCounts(CORPUS_TERMS_MAX)
        self._documents.add(frequencies.documents_by_term)
        for document_id, held in self._held.items():
            if held.covered_document_count < frequencies.document_count:
                self._held[document_id] = replace(held, covered_document_count=frequencies.document_count)
                yield self._ranked(document_id, held.candidates)

    def _ranked(self, document_id: str, candidates: Mapping[str, int]) -> Ranking:
        return Ranking(
            document_id=document_id,
            keywords=tuple(keywords(candidates, self._document_count, self._documents.counts)),
            covered_document_count=self._document_count,
        )


def keywords(counts: Mapping[str, int], document_count: int, documents_by_term: Mapping[str, int]) -> Iterator[Keyword]:
    """Score the terms of one document by TF-IDF and return the best of them, best first.

    A term weighs `count * ln((1 + documents) / (1 + documents with the term))`, as in Manning, Raghavan and Schütze,
    "Introduction to Information Retrieval", 6.2, smoothed. Scores are scaled so that all the terms together have
    length 1: documents of different length can be compared.
    """
    weights = {term: count * _rarity(document_count, documents_by_term.get(term, 1)) for term, count in counts.items()}
    length = math.hypot(*weights.values()) or 1.0
    best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    for term, weight in best[:KEYWORDS_MAX]:
        yield Keyword(term=term, score=weight / length, count=counts[term])


def log_likelihood(both: int, first: int, second: int, total: int) -> float:
    """Return how surprising it is that `both` documents of `total` have two terms that `first` and `second` have.

    Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", 1993: unlike plain counts it does not
    favour terms that are everywhere, and unlike mutual information it does not favour those that are nowhere. 0 for
    terms that meet as often as chance would have it, or more rarely.
    """
    if both * total <= first * second:
        return 0.0
    observed = (both, first - both, second - both, total - first - second + both)
    expected = (
        first * second / total,
        first * (total - second) / total,
        (total - first) * second / total,
        (total - first) * (total - second) / total,
    )
    return 2 * sum(seen * math.log(seen / chance) for seen, chance in zip(observed, expected, strict=True) if seen)


def _rarity(document_count: int, with_term: int) -> float:
    return math.log((1 + document_count) / (1 + min(with_term, document_count)))
