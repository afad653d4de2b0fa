"""Which metadata travels, and what arrives of what other processes send."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portcall.protos.link_rules import metadata_bytes
from portcall.protos.portcall.v1.link_pb2 import Metadatum
from portcall.wire.metadata import from_frame, is_forwarded, to_frame

OWN: list[tuple[str, str | bytes]] = [
    ("x-trace", "abc"),
    ("authorization", "Bearer 1"),
    ("data-bin", b"\x00\xff"),
    ("grpc-status-details-bin", b"\x08"),
]
TRANSPORTS = [":path", ":authority", "grpc-timeout", "grpc-encoding", "te", "content-type", "host", "user-agent",
              "connection", "transfer-encoding", "grpc-status", "grpc-anything"]  # fmt: skip


@pytest.mark.parametrize("key", [key for key, _ in OWN])
def test_the_applications_metadata_travels(key: str) -> None:
    assert is_forwarded(key)


@pytest.mark.parametrize("key", TRANSPORTS)
def test_the_transports_metadata_does_not_travel(key: str) -> None:
    assert not is_forwarded(key)
    assert to_frame([(key, "value")]) == []
    assert from_frame([Metadatum(key=key, value=b"value")]) == ()


def test_metadata_arrives_as_it_was_in_its_order_and_repeated_keys_too() -> None:
    metadata: list[tuple[str, str | bytes]] = [*OWN, ("x-trace", "def"), ("x-empty", "")]
    assert from_frame(to_frame(metadata)) == tuple(metadata)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", b"no key"),
        ("Upper", b"case"),
        ("sp ace", b"x"),
        ("new\nline", b"x"),
        ("nul\x00", b"x"),
        ("\u00e9", b"x"),
        ("key", b"\x00"),
        ("key", b"line\nbreak"),
        ("key", b"\xc3\xa9"),
        ("key", b"\x7f"),
        ("a" * 10 + "\r", b"x"),
    ],
)
def test_what_no_grpc_peer_could_have_sent_is_left_out(key: str, value: bytes) -> None:
    assert from_frame([Metadatum(key=key, value=value), Metadatum(key="kept", value=b"yes")]) == (("kept", "yes"),)


def test_text_in_a_binary_key_is_refused_where_it_is_given() -> None:
    with pytest.raises(TypeError, match='Binary metadata key="data-bin" expected bytes'):
        to_frame([("data-bin", "text")])


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=20))))
def test_whatever_comes_is_printable_or_binary(entries: list[tuple[str, bytes]]) -> None:
    for key, value in from_frame([Metadatum(key=key, value=value) for key, value in entries]):
        assert key
        assert key.isascii()
        assert isinstance(value, bytes) is key.endswith("-bin")
        assert isinstance(value, bytes) or (value.isascii() and (value.isprintable() or not value))


def test_metadata_counts_as_in_http2() -> None:
    assert metadata_bytes([]) == 0
    assert metadata_bytes([Metadatum(key="ab", value=b"cde"), Metadatum(key="", value=b"")]) == 37 + 32
