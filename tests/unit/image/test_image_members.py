"""Gzip that any program reads, and whose bytes depend on nothing but what is written."""

import gzip
import hashlib
import io
import zipfile
import zlib

from hypothesis import given
from hypothesis import strategies as st

from portcall.image.members import STORED_MAX, GzipMembers


def written(*pieces: tuple[bool, bytes]) -> bytes:
    out = io.BytesIO()
    members = GzipMembers(out.write)
    for is_deflated, content in pieces:
        if is_deflated:
            raw = zlib.compressobj(9, zlib.DEFLATED, -15)
            stream = raw.compress(content) + raw.flush()
            members.deflated([stream[:3], stream[3:]], crc=zlib.crc32(content), size=len(content))
        else:
            members.plain(content)
    members.close()
    return out.getvalue()


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=8))
def test_what_is_written_is_read(pieces: list[tuple[bool, bytes]]) -> None:
    assert gzip.decompress(written(*pieces)) == b"".join(content for _, content in pieces)


def test_plain_bytes_are_stored_in_blocks_of_full_size() -> None:
    content = bytes(range(256)) * 600
    made = written((False, content))
    assert gzip.decompress(made) == content
    members = -(-len(content) // STORED_MAX)
    assert len(made) == len(content) + members * (10 + 5 + 8)


def test_how_plain_bytes_are_cut_does_not_matter() -> None:
    content = bytes(range(256)) * 600
    pieces = [(False, content[at : at + 7_001]) for at in range(0, len(content), 7_001)]
    assert written(*pieces) == written((False, content))


def test_the_bytes_are_those_of_every_machine() -> None:
    """No zlib has a say: the checksum is written down."""
    made = written((False, b"Portcall " * 10_000))
    assert hashlib.sha256(made).hexdigest() == "2013bd4fda6410ae398c72a82b0bdfe0298bd3bfc4c7105f6171e15b679712a5"


def test_a_file_of_a_zip_goes_through_as_it_is() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", b"abc" * 1000)
    place = zipfile.ZipFile(packed).getinfo("a")
    raw = packed.getvalue()[30 + len("a") :][: place.compress_size]
    out = io.BytesIO()
    members = GzipMembers(out.write)
    members.deflated([raw], crc=place.CRC, size=place.file_size)
    members.close()
    assert raw in out.getvalue()
    assert gzip.decompress(out.getvalue()) == b"abc" * 1000
