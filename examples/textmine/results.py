"""What mining is asked for, what it reports while it runs and what it finds. Values only, for client and report."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningOptions:
    """What to mine. `root` is a directory of the workers' hosts, empty for their Python's standard library.

    `documents_max` and `document_bytes_max` leave documents out; 0 leaves it to the worker. `calls_max` bounds the
    extractions that are under way at once; None leaves it to the channel. With `run`, a name that no other run has,
    they are jobs of the hub instead of calls, and so outlive it and its workers. With `is_staged`, all of them are done
    before the first document is counted.
    """

    root: str = ""
    documents_max: int = 0
    document_bytes_max: int = 0
    calls_max: int | None = None
    run: str = ""
    is_staged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The documents are known: so many `Extracted` follow."""

    document_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """One more document is done with: its terms are known, or it has none, and `problem` says why."""

    document_id: str
    worker: str
    term_total: int
    problem: str
    done: int
    document_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The statistics of the whole corpus are there: so many final `Ranked` there are in all."""

    document_count: int
    term_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A document has keywords, by the statistics of `covered_document_count` documents.

    It may come again, with more; `done` counts the documents ranked so far, and does not grow then.
    """

    document_id: str
    keywords: tuple[str, ...]
    covered_document_count: int
    done: int


Progress = Listed | Extracted | Counted | Ranked
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyword:
    """A term that tells a document from the others; `score` is between 0 and 1."""

    term: str
    score: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedDocument:
    """A document and what it is about, the most telling keyword first."""

    id: str
    kind: str
    size_bytes: int
    term_total: int
    distinct_terms: int
    worker: str
    keywords: tuple[Keyword, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnminedDocument:
    """A document that yielded no terms, and why."""

    id: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopTerm:
    """A frequent term of the corpus."""

    term: str
    count: int
    document_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopPair:
    """Two terms that are prominent in the same documents, more often than chance would have it."""

    first: str
    second: str
    document_count: int
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerShare:
    """What one worker extracted."""

    worker: str
    document_count: int
    size_bytes: int
    term_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningResult:
    """What there is to know about the documents, in the order of their listing; the busiest worker first.

    The counts of terms and pairs are short by `undercount_max` at most, which is 0 for all but huge corpora.
    """

    root: str
    documents: tuple[MinedDocument, ...]
    unmined: tuple[UnminedDocument, ...]
    term_total: int
    top_terms: tuple[TopTerm, ...]
    top_pairs: tuple[TopPair, ...]
    undercount_max: int
    workers: tuple[WorkerShare, ...]
    elapsed_s: float
