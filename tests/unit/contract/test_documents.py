"""JSON documents: cut out of a stream wherever its bytes are cut, read strictly, and written for terminals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcall.contract.documents import Document, DocumentSplitter, JsonSyntaxError, decode, encode

SCALARS = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
GAPS = st.text(" \t\r\n", min_size=1, max_size=3)


def split(*chunks: bytes, chars_max: int = 10_000) -> list[Document]:
    splitter = DocumentSplitter(chars_max)
    documents = [document for chunk in chunks for document in splitter.feed(chunk)]
    return [*documents, *splitter.end()]


def read(*chunks: bytes) -> list[object]:
    return [decode(document) for document in split(*chunks)]


@given(st.lists(st.tuples(VALUES, GAPS, st.booleans(), st.booleans())), st.data())
def test_documents_come_out_as_they_went_in(parts: list[tuple[object, str, bool, bool]], data: st.DataObject) -> None:
    texts = [
        (json.dumps(value, indent=2 if is_pretty else None, ensure_ascii=is_ascii), gap)
        for value, gap, is_pretty, is_ascii in parts
    ]
    content = "".join(text + gap for text, gap in texts).encode(errors="surrogatepass")
    try:
        content.decode()
    except UnicodeDecodeError:
        return
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=10)))
    chunks = [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    documents = split(*chunks)
    assert [document.text for document in documents] == [text for text, _ in texts]
    assert [document.number for document in documents] == list(range(1, len(texts) + 1))
    assert [decode(document) for document in documents] == [value for value, *_ in parts]
    lines = content.decode().split("\n")
    for document in documents:
        first = document.text.split("\n")[0]
        assert lines[document.line - 1][document.column - 1 :].startswith(first)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"", []),
        (b" \r\n\t", []),
        (b'{"a":1}{"b":2}', [{"a": 1}, {"b": 2}]),
        (b'{"a":1}\n{"b":2}\n', [{"a": 1}, {"b": 2}]),
        (b'[1][2]"x"3 4', [[1], [2], "x", 3, 4]),
        (b'{"a":"}{\\"\\\\"}{}', [{"a": '}{"\\'}, {}]),
        (b'\xef\xbb\xbf{"a":1}', [{"a": 1}]),
        ('{"a":"\u2028é"}'.encode(), [{"a": "\u2028é"}]),
    ],
)
def test_documents_need_no_separator_that_they_do_not_need(content: bytes, values: list[object]) -> None:
    assert read(content) == values
    assert read(*(bytes([byte]) for byte in content)) == values


def test_document_comes_out_with_its_last_byte() -> None:
    splitter = DocumentSplitter()
    assert splitter.feed(b'{"a":{"b":[1') == []
    assert [document.text for document in splitter.feed(b"]}}")] == ['{"a":{"b":[1]}}']
    assert splitter.feed(b"12") == []
    assert [document.text for document in splitter.feed(b" ")] == ["12"]


@pytest.mark.parametrize(
    ("content", "words", "number"),
    [
        (b'{"a":1', "unexpected end of the input in line 1, column 7", 1),
        (b'{}\n{"a":\n"', "unexpected end of the input in line 3, column 2", 2),
        (b"{} {} [1}", "expecting ',' delimiter in line 1, column 9", 3),
        (b'{"a":1}\n, {"b":2}', "expecting value in line 2, column 1", 2),
        (b'{"a":1 "b":2}', "expecting ',' delimiter in line 1, column 8", 1),
        (b' {\n "a": nul}', "expecting value in line 2, column 7", 1),
        (b"hello", "expecting value in line 1, column 1", 1),
        (b"}", "expecting value in line 1, column 1", 1),
        (b'\n{"a":"\n\xff"}', "byte 0xff is not UTF-8 in line 3, column 1", 1),
        (b'{"a":1}\n\xff\xfe', "byte 0xff is not UTF-8 in line 2, column 1", 1),
        (b'"\xc3', "byte 0xc3 is not UTF-8 in line 1, column 2", 1),
        (b'{"a":NaN}', "NaN is not JSON (as a string it may be) in the document that begins in line 1, column 1", 1),
        (
            b'{}\n {"a":1,"a":2}',
            'the name "a" stands twice in one object in the document that begins in line 2, column 2',
            2,
        ),
        (b"[" * 100_000 + b"]" * 100_000, "too deep a nesting in the document that begins in line 1, column 1", 1),
        (b"1" * 5_000, "too long a number in the document that begins in line 1, column 1", 1),
    ],
)
def test_what_is_not_json_is_named_with_its_place(content: bytes, words: str, number: int) -> None:
    splitter = DocumentSplitter()
    with pytest.raises(JsonSyntaxError) as raised:  # noqa: PT012  # what is found when depends on the mistake
        for document in splitter.feed(content):
            decode(document)
        for document in splitter.end():
            decode(document)
    assert str(raised.value) == words
    assert raised.value.number == number


def test_document_that_never_ends_is_refused_at_its_bound() -> None:
    splitter = DocumentSplitter(chars_max=100)
    splitter.feed(b"{} ")
    with pytest.raises(JsonSyntaxError) as raised:  # noqa: PT012  # which chunk it is does not matter
        for _ in range(20):
            splitter.feed(b'"aaaaaaaaaa' if not _ else b"aaaaaaaaaa")
    assert str(raised.value) == "more than 100 characters in the document that begins in line 1, column 4"


@given(VALUES)
def test_what_is_written_is_read_again_and_is_one_line(value: object) -> None:
    text = encode(value)  # type: ignore[arg-type]
    assert json.loads(text) == value
    assert json.loads(encode(value, is_pretty=True)) == value  # type: ignore[arg-type]
    assert len(text.splitlines()) == 1


def test_nothing_that_is_written_steers_a_terminal() -> None:
    assert encode("a\x1b\x7f\x9b\u2028é") == '"a\\u001b\\u007f\\u009b\\u2028é"'
