"""What to send: JSON documents from an argument, a file or standard input, as messages of one method."""

import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import MethodDescriptor

from portcall.cli.call.directory import Directory
from portcall.cli.call.pipes import open_to_read, read_chunks
from portcall.contract.documents import Document, DocumentSplitter, JsonSyntaxError, decode
from portcall.contract.from_json import JsonMismatchError
from portcall.errors import ConfigurationError

STDIN: Final = 0
LIST_HINT: Final = ". The requests of a stream stand one after another, without brackets and commas"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSource:
    """Where documents come from: a text that was given, or a file or standard input that is opened when read."""

    label: str
    text: str | None = None
    path: str | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes.

        Raises:
            ConfigurationError: they cannot be read.
        """
        if self.text is not None:
            yield os.fsencode(self.text)
            return
        try:
            source = STDIN if self.path is None else await open_to_read(self.path)
            try:
                async for chunk in read_chunks(source):
                    yield chunk
            finally:
                if self.path is not None:
                    os.close(source)
        except OSError as error:
            raise ConfigurationError(f"cannot read {self.label}: {error.strerror}") from None


def find_source(argument: str | None, *, is_stream: bool) -> RequestSource:
    """Return where the requests are, given what the command line says of them.

    Nothing said means what is piped into the command. From a terminal only streams are read: nobody who leaves the one
    request out wants to be waited for.
    """
    if argument is None:
        is_piped = sys.stdin is not None and not sys.stdin.isatty()
        argument = "-" if is_piped or (is_stream and sys.stdin is not None) else ""
    if argument in {"-", "@-"}:
        if sys.stdin is None:
            raise ConfigurationError("standard input is closed, and cannot be read")
        return RequestSource(label="standard input")
    if argument.startswith("@"):
        return RequestSource(label=argument[1:], path=argument[1:])
    return RequestSource(label="", text=argument)


class Requests:
    """The requests of one call. Whatever is wrong with one raises `ConfigurationError` and says which and where."""

    def __init__(self, directory: Directory, method: MethodDescriptor, source: RequestSource) -> None:
        self._directory = directory
        self._method = method
        self._source = source
        self._name = f"{method.containing_service.full_name}/{method.name}"

    async def one(self) -> bytes:
        """Return the only request, which is an empty one if there is nothing."""
        only = None
        async for document in self._documents():
            if only is not None:
                place = f"line {document.line}, column {document.column}{self._of_source}"
                raise ConfigurationError(f"{self._name} takes one request, and a second one begins in {place}")
            only = document
        return await self._serialized(only or Document(text="{}", number=1, line=1, column=1))

    async def each(self) -> AsyncIterator[bytes]:
        """Yield the requests as they come."""
        async for document in self._documents():
            yield await self._serialized(document)

    async def _documents(self) -> AsyncIterator[Document]:
        splitter = DocumentSplitter()
        try:
            async for chunk in self._source.chunks():
                for document in splitter.feed(chunk):
                    yield document
            for document in splitter.end():
                yield document
        except JsonSyntaxError as error:
            raise self._syntax_error(error) from None

    async def _serialized(self, document: Document) -> bytes:
        try:
            value = decode(document)
        except JsonSyntaxError as error:
            raise self._syntax_error(error, LIST_HINT if document.text.startswith(",") else "") from None
        try:
            message = await self._directory.message(value, self._method.input_type)
        except JsonMismatchError as error:
            words = error.said_of(f"{self._label(document.number)}{self._line(document)}")
            is_list = self._method.client_streaming and isinstance(value, list)
            raise ConfigurationError(words + (LIST_HINT if is_list else "")) from None
        return message.SerializeToString()

    def _syntax_error(self, error: JsonSyntaxError, hint: str = "") -> ConfigurationError:
        return ConfigurationError(f"{self._label(error.number)} is not JSON: {error}{hint}")

    def _label(self, number: int) -> str:
        which = f"request {number}" if self._method.client_streaming else "the request"
        return f"{which}{self._of_source}"

    def _line(self, document: Document) -> str:
        return f" (line {document.line})" if self._source.label else ""

    @property
    def _of_source(self) -> str:
        return f" of {self._source.label}" if self._source.label else ""
