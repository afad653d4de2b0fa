from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_TEXT: _ClassVar[Kind]
    KIND_HTML: _ClassVar[Kind]
    KIND_SOURCE: _ClassVar[Kind]

class Skipped(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SKIPPED_UNSPECIFIED: _ClassVar[Skipped]
    SKIPPED_BINARY: _ClassVar[Skipped]
    SKIPPED_UNDECODABLE: _ClassVar[Skipped]
    SKIPPED_TOO_LARGE: _ClassVar[Skipped]
KIND_UNSPECIFIED: Kind
KIND_TEXT: Kind
KIND_HTML: Kind
KIND_SOURCE: Kind
SKIPPED_UNSPECIFIED: Skipped
SKIPPED_BINARY: Skipped
SKIPPED_UNDECODABLE: Skipped
SKIPPED_TOO_LARGE: Skipped

class ListRequest(_message.Message):
    __slots__ = ("root", "documents_max", "document_bytes_max")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_MAX_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    root: str
    documents_max: int
    document_bytes_max: int
    def __init__(self, root: _Optional[str] = ..., documents_max: _Optional[int] = ..., document_bytes_max: _Optional[int] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("id", "size_bytes", "kind")
    ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    id: str
    size_bytes: int
    kind: Kind
    def __init__(self, id: _Optional[str] = ..., size_bytes: _Optional[int] = ..., kind: _Optional[_Union[Kind, str]] = ...) -> None: ...

class ExtractRequest(_message.Message):
    __slots__ = ("root", "document_id")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    root: str
    document_id: str
    def __init__(self, root: _Optional[str] = ..., document_id: _Optional[str] = ...) -> None: ...

class ExtractReply(_message.Message):
    __slots__ = ("terms", "skipped", "worker")
    TERMS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    terms: DocumentTerms
    skipped: Skipped
    worker: str
    def __init__(self, terms: _Optional[_Union[DocumentTerms, _Mapping]] = ..., skipped: _Optional[_Union[Skipped, str]] = ..., worker: _Optional[str] = ...) -> None: ...

class DocumentTerms(_message.Message):
    __slots__ = ("document_id", "counts", "term_total")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    TERM_TOTAL_FIELD_NUMBER: _ClassVar[int]
    document_id: str
    counts: _containers.ScalarMap[str, int]
    term_total: int
    def __init__(self, document_id: _Optional[str] = ..., counts: _Optional[_Mapping[str, int]] = ..., term_total: _Optional[int] = ...) -> None: ...

class CorpusStatistics(_message.Message):
    __slots__ = ("frequencies", "term_total", "top_terms", "top_pairs", "undercount_max")
    FREQUENCIES_FIELD_NUMBER: _ClassVar[int]
    TERM_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TOP_TERMS_FIELD_NUMBER: _ClassVar[int]
    TOP_PAIRS_FIELD_NUMBER: _ClassVar[int]
    UNDERCOUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    frequencies: DocumentFrequencies
    term_total: int
    top_terms: _containers.RepeatedCompositeFieldContainer[TermCount]
    top_pairs: _containers.RepeatedCompositeFieldContainer[PairCount]
    undercount_max: int
    def __init__(self, frequencies: _Optional[_Union[DocumentFrequencies, _Mapping]] = ..., term_total: _Optional[int] = ..., top_terms: _Optional[_Iterable[_Union[TermCount, _Mapping]]] = ..., top_pairs: _Optional[_Iterable[_Union[PairCount, _Mapping]]] = ..., undercount_max: _Optional[int] = ...) -> None: ...

class DocumentFrequencies(_message.Message):
    __slots__ = ("document_count", "documents_by_term")
    class DocumentsByTermEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_BY_TERM_FIELD_NUMBER: _ClassVar[int]
    document_count: int
    documents_by_term: _containers.ScalarMap[str, int]
    def __init__(self, document_count: _Optional[int] = ..., documents_by_term: _Optional[_Mapping[str, int]] = ...) -> None: ...

class TermCount(_message.Message):
    __slots__ = ("term", "count", "document_count")
    TERM_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    term: str
    count: int
    document_count: int
    def __init__(self, term: _Optional[str] = ..., count: _Optional[int] = ..., document_count: _Optional[int] = ...) -> None: ...

class PairCount(_message.Message):
    __slots__ = ("first", "second", "document_count", "strength")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    first: str
    second: str
    document_count: int
    strength: float
    def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ..., document_count: _Optional[int] = ..., strength: _Optional[float] = ...) -> None: ...

class RankRequest(_message.Message):
    __slots__ = ("document", "frequencies")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    FREQUENCIES_FIELD_NUMBER: _ClassVar[int]
    document: DocumentTerms
    frequencies: DocumentFrequencies
    def __init__(self, document: _Optional[_Union[DocumentTerms, _Mapping]] = ..., frequencies: _Optional[_Union[DocumentFrequencies, _Mapping]] = ...) -> None: ...

class Ranking(_message.Message):
    __slots__ = ("document_id", "keywords", "covered_document_count")
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    COVERED_DOCUMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    document_id: str
    keywords: _containers.RepeatedCompositeFieldContainer[Keyword]
    covered_document_count: int
    def __init__(self, document_id: _Optional[str] = ..., keywords: _Optional[_Iterable[_Union[Keyword, _Mapping]]] = ..., covered_document_count: _Optional[int] = ...) -> None: ...

class Keyword(_message.Message):
    __slots__ = ("term", "score", "count")
    TERM_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    term: str
    score: float
    count: int
    def __init__(self, term: _Optional[str] = ..., score: _Optional[float] = ..., count: _Optional[int] = ...) -> None: ...
