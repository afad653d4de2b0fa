"""JSON documents in a stream of bytes: where each begins and ends, and what it says.

Documents stand one after another: one a line (JSON lines), with white space between them, or nothing at all; each may
take many lines. They come out as soon as they are complete, so that what arrives slowly can be answered meanwhile.

The splitter only counts brackets and skips strings, in one pass however the bytes are cut; whether a document is JSON
at all is for `decode` to say, which knows its place.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NoReturn, TypeAlias

from portcall.errors import PortcallError

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"

DOCUMENT_CHARS_MAX: Final = 268_435_456
"""What a document may hold, so that a quote that is never closed does not fill the memory."""

_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029]")
"""Characters that JSON leaves as they are, and that steer a terminal or end a line elsewhere."""


class JsonSyntaxError(PortcallError):
    """It is not JSON. Blames whoever wrote it; documents, lines and characters are counted from 1."""

    def __init__(self, reason: str, *, number: int, line: int, column: int) -> None:
        super().__init__(f"{reason} in line {line}, column {column}")
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of one document, its number and where it begins in what it was cut from, all counted from 1."""

    text: str
    number: int
    line: int
    column: int


class _State(Enum):
    BETWEEN = auto()
    NESTED = auto()
    STRING = auto()
    ESCAPE = auto()
    SCALAR = auto()


_NEXT = {
    _State.BETWEEN: re.compile(r"[ \t\r\n]*+[^ \t\r\n]"),
    _State.NESTED: re.compile(r'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+["{}\[\]]', re.DOTALL),
    _State.STRING: re.compile(r'[^"\\]*+["\\]'),
    _State.ESCAPE: re.compile(r".", re.DOTALL),
    _State.SCALAR: re.compile(r'[^ \t\r\n"{}\[\],:]*+[ \t\r\n"{}\[\],:]'),
}
"""What each state passes over, up to and with the character that steps on. Nested ones pass whole strings at once."""


class DocumentSplitter:
    """Takes bytes as they come and returns the documents that they complete.

    Raises:
        JsonSyntaxError: a byte is not UTF-8, a document is too large, or the end comes in the middle of one.
    """

    def __init__(self, chars_max: int = DOCUMENT_CHARS_MAX) -> None:
        self._chars_max = chars_max
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._has_begun = False
        self._state = _State.BETWEEN
        self._depth = 0
        self._pieces: list[str] = []
        self._chars = 0
        self._count = 0
        self._line, self._column = 1, 1  # of the first character that was not passed yet
        self._begin = (1, 1)  # of the document under way

    def feed(self, chunk: bytes) -> list[Document]:
        """Take more bytes; return the documents that are complete now."""
        return list(self._split(self._decode(chunk)))

    def end(self) -> list[Document]:
        """Say that no more bytes come; return the last document if only the end could end it, as it does a number."""
        documents = list(self._split(self._decode(b"", is_last=True)))
        if self._state is _State.SCALAR:
            documents.append(self._complete())
        elif self._state is not _State.BETWEEN:
            raise self._error("unexpected end of the input")
        return documents

    def _decode(self, chunk: bytes, *, is_last: bool = False) -> str:
        try:
            text = self._decoder.decode(chunk, is_last)
        except UnicodeDecodeError as error:
            self._pass(error.object[: error.start].decode())
            raise self._error(f"byte 0x{error.object[error.start]:02x} is not UTF-8") from None
        if text and not self._has_begun:
            self._has_begun = True
            return text.removeprefix("\ufeff")  # Windows begins a file with it
        return text

    def _split(self, text: str) -> Iterator[Document]:
        begin = at = 0
        while found := _NEXT[self._state].match(text, at):
            at = found.end()
            character = text[at - 1]
            if self._state is _State.BETWEEN:
                self._pass(text[begin : at - 1])
                begin = at - 1
                self._begin = self._line, self._column
            elif self._state is _State.SCALAR:
                at -= 1
            self._step(character)
            if self._state is _State.NESTED and not self._depth:
                self._take(text[begin:at])
                begin = at
                yield self._complete()
        if self._state is _State.BETWEEN:
            self._pass(text[begin:])
        else:
            self._take(text[begin:])

    def _step(self, character: str) -> None:
        """Go to the next state. A document is complete when that is `NESTED`, with no bracket open."""
        match self._state, character:
            case (_State.BETWEEN | _State.NESTED, "{" | "["):
                self._state = _State.NESTED
                self._depth += 1
            case (_State.BETWEEN | _State.NESTED, '"'):
                self._state = _State.STRING
            case (_State.BETWEEN, _):
                self._state = _State.SCALAR
            case (_State.NESTED, _):
                self._depth -= 1
            case (_State.STRING, "\\"):
                self._state = _State.ESCAPE
            case (_State.ESCAPE, _):
                self._state = _State.STRING
            case _:
                self._state = _State.NESTED

    def _take(self, text: str) -> None:
        """Add text to the document under way."""
        self._pass(text)
        self._pieces.append(text)
        self._chars += len(text)
        if self._chars > self._chars_max:
            self._line, self._column = self._begin
            raise self._error(f"more than {self._chars_max:,} characters in the document that begins")

    def _complete(self) -> Document:
        text, self._pieces, self._chars = "".join(self._pieces), [], 0
        self._state = _State.BETWEEN
        self._count += 1
        line, column = self._begin
        return Document(text=text, number=self._count, line=line, column=column)

    def _error(self, reason: str) -> JsonSyntaxError:
        return JsonSyntaxError(reason, number=self._count + 1, line=self._line, column=self._column)

    def _pass(self, text: str) -> None:
        lines = text.count("\n")
        self._line += lines
        self._column = len(text) - text.rfind("\n") if lines else self._column + len(text)


def decode(document: Document) -> JsonValue:
    """Return what a document says.

    Stricter than Python's own reader: no NaN, no Infinity, no name twice in one object.

    Raises:
        JsonSyntaxError: it is not JSON.
    """
    try:
        value: JsonValue = _DECODER.decode(document.text)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
        line = document.line + error.lineno - 1
        column = error.colno + (document.column - 1 if error.lineno == 1 else 0)
        raise JsonSyntaxError(reason, number=document.number, line=line, column=column) from None
    except _RuleError as error:
        raise _rejected(str(error), document) from None
    except RecursionError:
        raise _rejected("too deep a nesting", document) from None
    except ValueError:  # an integer of thousands of digits, which Python refuses to read
        raise _rejected("too long a number", document) from None
    return value


def encode(value: JsonValue, *, is_pretty: bool = False) -> str:
    """Return JSON text: one line, or indented for people. No character of it steers a terminal."""
    separators = None if is_pretty else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=2 if is_pretty else None, separators=separators)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _rejected(reason: str, document: Document) -> JsonSyntaxError:
    words = f"{reason} in the document that begins"
    return JsonSyntaxError(words, number=document.number, line=document.line, column=document.column)


class _RuleError(ValueError):
    """A document that Python would read breaks a rule of JSON."""


def _object(pairs: list[tuple[str, JsonValue]]) -> JsonValue:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RuleError(f"the name {json.dumps(twice)} stands twice in one object")
    return made


def _refuse_constant(word: str) -> NoReturn:
    raise _RuleError(f"{word} is not JSON (as a string it may be)")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
