"""Statistics of a corpus and keywords of its documents."""

from collections import Counter

import mining
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mining import BoundedCounts, Corpus, Frequencies, Ranker


def corpus_of(*documents: dict[str, int]) -> Corpus:
    corpus = Corpus()
    for counts in documents:
        corpus.add(counts, sum(counts.values()))
    return corpus


def test_terms_are_counted_over_all_documents() -> None:
    statistics = corpus_of({"sea": 3, "wind": 1}, {"sea": 1, "port": 2}, {"port": 1}).statistics()
    assert [(top.term, top.count, top.document_count) for top in statistics.top_terms] == [
        ("sea", 4, 2),
        ("port", 3, 2),
        ("wind", 1, 1),
    ]
    assert statistics.term_total == 8
    assert statistics.undercount_max == 0
    assert statistics.frequencies == Frequencies(document_count=3, documents_by_term={"port": 2, "sea": 2})


def test_pairs_are_of_terms_that_meet_more_often_than_by_chance() -> None:
    together, apart = {"crane": 1, "cargo": 1, "sea": 1}, {"wind": 1, "sea": 1}
    statistics = corpus_of(*[together] * 4, *[apart] * 4).statistics()
    # "sea" is everywhere, so its company says nothing.
    assert [(pair.first, pair.second, pair.document_count) for pair in statistics.top_pairs] == [("cargo", "crane", 4)]


def test_a_term_is_in_its_strongest_pair_only() -> None:
    cluster = {"aaa": 1, "bbb": 1, "ccc": 1, "ddd": 1}
    statistics = corpus_of(*[cluster] * 5, *[{"other": 1}] * 5).statistics()
    assert [(pair.first, pair.second) for pair in statistics.top_pairs] == [("aaa", "bbb"), ("ccc", "ddd")]


def test_an_empty_corpus_has_empty_statistics() -> None:
    statistics = corpus_of().statistics()
    assert statistics.frequencies.document_count == 0
    assert not statistics.top_terms
    assert not statistics.top_pairs


def test_surprise_is_none_by_chance_and_grows_with_evidence() -> None:
    assert mining.log_likelihood(25, 50, 50, 100) == 0.0
    assert mining.log_likelihood(0, 50, 50, 100) == 0.0
    assert 0 < mining.log_likelihood(5, 5, 5, 20) < mining.log_likelihood(10, 10, 10, 40)


@given(st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=30), st.integers(1, 6))
def test_bounded_counts_stay_bounded_and_say_how_wrong_they_are(batches: list[list[int]], entries_max: int) -> None:
    bounded, exact = BoundedCounts[int](entries_max), Counter[int]()
    for batch in batches:
        bounded.add(batch)
        exact.update(batch)
        assert len(bounded.counts) <= entries_max
    for thing, count in exact.items():
        assert 0 <= count - bounded.counts[thing] <= bounded.undercount_max


def test_keywords_are_frequent_here_and_rare_elsewhere() -> None:
    best = list(mining.keywords({"cargo": 5, "sea": 5, "once": 1}, 10, {"sea": 9}))
    assert [keyword.term for keyword in best] == ["cargo", "once", "sea"]
    assert 1 > best[0].score > best[1].score > best[2].score > 0


def test_a_document_is_ranked_at_once_and_again_when_more_is_known() -> None:
    ranker = Ranker()
    (first,) = ranker.on_document("a", {"sea": 2, "port": 1})
    (second,) = ranker.on_document("b", {"sea": 1})
    assert (first.covered_document_count, second.covered_document_count) == (1, 2)
    better = list(ranker.on_frequencies(Frequencies(document_count=9, documents_by_term={"sea": 9})))
    assert [(ranking.document_id, ranking.covered_document_count) for ranking in better] == [("a", 9), ("b", 9)]
    assert better[0].keywords[0].term == "port"


def test_given_frequencies_are_final() -> None:
    ranker = Ranker()
    assert list(ranker.on_frequencies(Frequencies(document_count=9, documents_by_term={}))) == []
    (ranking,) = ranker.on_document("a", {"sea": 1})
    assert ranking.covered_document_count == 9
    assert list(ranker.on_frequencies(Frequencies(document_count=9, documents_by_term={}))) == []


def test_past_the_bound_documents_keep_their_first_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "HELD_DOCUMENTS_MAX", 1)
    ranker = Ranker()
    for name in ("a", "b"):
        assert [ranking.document_id for ranking in ranker.on_document(name, {"sea": 1})] == [name]
    again = ranker.on_frequencies(Frequencies(document_count=9, documents_by_term={}))
    assert [ranking.document_id for ranking in again] == ["a"]
