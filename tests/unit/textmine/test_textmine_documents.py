"""Which documents there are, and what may be read."""

from pathlib import Path

import documents
import pytest
from documents import Skipped
from terms import Kind


def test_documents_are_listed_in_order_with_their_kind(corpus: Path) -> None:
    found = [(document.id, document.kind) for document in documents.find(str(corpus))]
    assert found == [
        ("binary.txt", Kind.TEXT),
        ("broken.txt", Kind.TEXT),
        ("port.html", Kind.HTML),
        ("sea.txt", Kind.TEXT),
        ("ship.py", Kind.SOURCE),
        ("news/정책.txt", Kind.TEXT),
    ]


def test_hidden_linked_installed_and_unprintable_names_are_not_listed(tmp_path: Path) -> None:
    for folder in (".git", "node_modules", "__pycache__"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "inside.txt").write_text("no")
    (tmp_path / "plain.txt").write_text("yes")
    (tmp_path / "link.txt").symlink_to(tmp_path / "plain.txt")
    (tmp_path / "bell\a.txt").write_text("no")
    assert [document.id for document in documents.find(str(tmp_path))] == ["plain.txt"]


def test_limits_leave_documents_out(corpus: Path) -> None:
    assert len(list(documents.find(str(corpus), documents_max=2))) == 2
    assert [document.id for document in documents.find(str(corpus), document_bytes_max=10)] == [
        "binary.txt",
        "broken.txt",
    ]


def test_without_a_root_it_is_the_standard_library_without_its_tests() -> None:
    found = {document.id for document in documents.find("")}
    assert {"this.py", "json/decoder.py"} <= found
    assert not any("test" in document_id.split("/")[:-1] for document_id in found)


@pytest.mark.parametrize("root", ["/no/such/directory", "nul\0byte"])
def test_a_root_that_is_not_there_is_refused(root: str) -> None:
    with pytest.raises(documents.MissingError, match="no directory"):
        list(documents.find(root))


def test_paths_out_of_the_root_are_refused(corpus: Path) -> None:
    secret = corpus.parent / "secret.txt"
    secret.write_text("secret")
    (corpus / "link.txt").symlink_to(secret)
    for document_id in ("../secret.txt", "news/../../secret.txt", str(secret), "link.txt"):
        with pytest.raises(documents.OutsideRootError, match="leads out of"):
            documents.read(str(corpus), document_id)


@pytest.mark.parametrize("document_id", ["gone.txt", "news", "", "nul\0byte.txt", "x" * 5000])
def test_what_is_no_file_is_missing(corpus: Path, document_id: str) -> None:
    with pytest.raises(documents.MissingError):
        documents.read(str(corpus), document_id)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        ("바다".encode(), "바다"),
        ("바다".encode("utf-8-sig"), "바다"),
        ("바다".encode("cp949"), "바다"),
        ("바다".encode("utf-16"), "바다"),
        (b"\x7fELF\0", Skipped.BINARY),
        (b"\xff\xfe\x00", Skipped.UNDECODABLE),
        (b"caf\xe9 \xff", Skipped.UNDECODABLE),
    ],
)
def test_decoding(raw: bytes, text: str | Skipped) -> None:
    assert documents.decoded(raw) == text


def test_a_large_document_is_skipped(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "DOCUMENT_BYTES_MAX", 5)
    assert documents.read(str(corpus), "sea.txt") is Skipped.TOO_LARGE
