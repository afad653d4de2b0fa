"""From the text of a document to the terms it is made of. Pure: text in, counts out.

Most of a document is repetition, and this is what makes it fast. Two passes that run in C (a regular expression and a
`Counter`) reduce the text to its distinct tokens; only those are looked at in Python, and a token that any document has
had before is not looked at again.

A *token* is what stands between spaces and punctuation (`getHTTPResponse`, `API를`); a *term* is what is counted
(`http`, `response`, `api`): a part of an identifier, or a Korean word without its particle, in lower case.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from html.parser import HTMLParser
from typing import Final

import korean
import stopwords

TERMS_PER_DOCUMENT_MAX = 4_000
"""A document's distinct terms, past which only the most frequent are kept."""

TOKEN_CHARS_MAX = 80
"""Longer tokens are no words, but encoded data: they are ignored."""

KNOWN_TOKENS_MAX = 65_536
"""How many cleaned tokens are remembered from one document to the next."""

_ASCII_CHARS_MIN = 3
_UNICODE_CHARS_MIN = 2


class Kind(Enum):
    """What a document's punctuation means."""

    TEXT = "text"
    HTML = "html"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`counts` says how often each distinct term occurs; `total` counts also those that did not fit into it."""

    counts: Mapping[str, int]
    total: int


def extract(text: str, kind: Kind) -> Terms:
    """Return the terms of a document, the most frequent first, without stop words."""
    stop = _STOP_WORDS[kind]
    counts: Counter[str] = Counter()
    for token, occurrences in Counter(_TOKEN.findall(_plain(text, kind))).items():
        for term in _terms_of(token):
            if term not in stop:
                counts[term] += occurrences
    return Terms(counts=dict(most_frequent(counts, TERMS_PER_DOCUMENT_MAX)), total=counts.total())


def most_frequent(counts: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    """Return the largest counts, largest first; among equals in alphabetical order, so that runs can be compared."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]


def visible_text(markup: str) -> str:
    """Return what a browser would show of an HTML document. Broken markup is read as far as it goes."""
    reader = _MarkupReader()
    reader.feed(markup)
    reader.close()
    return "".join(reader.pieces)


_STOP_WORDS: Final = {
    Kind.TEXT: stopwords.ENGLISH | stopwords.KOREAN,
    Kind.HTML: stopwords.ENGLISH | stopwords.KOREAN,
    Kind.SOURCE: stopwords.ENGLISH | stopwords.KOREAN | stopwords.SOURCE,
}

_TOKEN: Final = re.compile(r"\b[^\W\d]\w+")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ASCII_WORD: Final = re.compile(
    r"""
      [A-Z]+ (?![a-z]) [0-9]*   # an acronym, up to the capital that begins the next word: HTTP of HTTPServer
    | [A-Z]? [a-z]+ [0-9]*      # a word, with the digits that belong to it: base64
    """,
    re.VERBOSE,
)
_SCRIPT: Final = re.compile(rf"[{korean.SYLLABLES}]+|[^{korean.SYLLABLES}]+")
_HANGUL: Final = re.compile(rf"[{korean.SYLLABLES}]+")


def _plain(text: str, kind: Kind) -> str:
    match kind:
        case Kind.HTML:
            text = visible_text(text)
        case Kind.SOURCE if "\\" in text:
            text = _ESCAPE.sub(" ", text)  # or "\name" would be read as the word "name" and "\u0410" as "u0410"
    # Some systems write Hangul as single letters; a syllable has to be one character to be seen as one.
    return text if text.isascii() else unicodedata.normalize("NFC", text)


@lru_cache(maxsize=KNOWN_TOKENS_MAX)
def _terms_of(token: str) -> tuple[str, ...]:
    if len(token) > TOKEN_CHARS_MAX:
        return ()
    return tuple(term for part in _SCRIPT.findall(token) for term in _terms_of_script(part))


def _terms_of_script(part: str) -> Iterator[str]:
    """Yield the terms of a part of a token that is all Hangul, or has none."""
    if _HANGUL.match(part):
        if len(part) >= _UNICODE_CHARS_MIN and not korean.is_particle(part):
            yield korean.stem(part)
    elif part.isascii():
        yield from (word.lower() for word in _ASCII_WORD.findall(part) if len(word) >= _ASCII_CHARS_MIN)
    else:
        yield from (word.lower() for word in part.split("_") if len(word) >= _UNICODE_CHARS_MIN)


class _MarkupReader(HTMLParser):
    """Gathers the visible text in `pieces`."""

    INVISIBLE = frozenset({"script", "style", "template", "noscript", "svg"})
    # Everything else separates words: <b>H</b>ello is one word, <td>1</td><td>2</td> are two.
    INLINE = frozenset({"a", "abbr", "b", "code", "em", "i", "mark", "s", "small", "span", "strong", "sub", "sup", "u"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._invisible_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.INVISIBLE:
            self._invisible_depth += 1
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.INVISIBLE:
            self._invisible_depth = max(0, self._invisible_depth - 1)
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        if not self._invisible_depth:
            self.pieces.append(data)

    def _separate(self, tag: str) -> None:
        if tag not in self.INLINE:
            self.pieces.append(" ")
