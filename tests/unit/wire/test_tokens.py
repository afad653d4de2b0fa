"""Tokens as they travel."""

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portcall.errors import ConfigurationError
from portcall.wire.metadata import from_frame, to_frame, to_frame_without_authorization
from portcall.wire.tokens import (
    bearer_entries,
    check_token,
    is_readable_by_others,
    own_entries,
    presented,
    read_token_file,
)

TOKEN = "abcdefghijklmnop-0123"


@pytest.mark.parametrize("token", [TOKEN, "A" * 16, "A" * 512, "a.b_c~d+e/f-0123456789=="])
def test_token_that_can_be_one_is_returned(token: str) -> None:
    assert check_token(token, "it") == token


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "PORTCALL_TOKEN is empty"),
        ("A" * 15, "PORTCALL_TOKEN has 15 characters; a token should have 16 to 512"),
        ("A" * 513, "PORTCALL_TOKEN has 513 characters"),
        ("correct horse battery", "PORTCALL_TOKEN is not a token"),
        ("pässwörter-sind-geheim", "PORTCALL_TOKEN is not a token"),
        ("=abcdefghijklmnopqrst", "PORTCALL_TOKEN is not a token"),
        ("abcdefghijklmnopqrst\n", "PORTCALL_TOKEN is not a token"),
    ],
)
def test_what_cannot_be_a_token_is_refused_and_not_shown(token: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_token(token, "PORTCALL_TOKEN")
    assert str(raised.value).startswith(words)
    assert not token.strip() or token not in str(raised.value)


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n", f"# the crawlers'\n\n  {TOKEN}  \n"])
def test_token_stands_alone_in_its_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    assert read_token_file(file) == TOKEN


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (f"worker {TOKEN} crawlers".encode(), "lines with roles and names are for the hub's file"),
        (f"{TOKEN}\n{TOKEN}\n".encode(), "one token and nothing else"),
        (b"\xff\xfe\x00", "is not a text file"),
    ],
)
def test_file_of_another_kind_is_refused_and_not_shown(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as raised:
        read_token_file(file)
    assert str(file) in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the token file .*nope: No such file"):
        read_token_file(tmp_path / "nope")


def test_mode_of_a_file_tells_whether_others_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    assert not is_readable_by_others(file)
    file.chmod(0o644)
    assert is_readable_by_others(file)
    assert not is_readable_by_others(tmp_path / "nope")


def test_both_ways_to_present_a_token_are_found() -> None:
    assert presented(bearer_entries(TOKEN)) == [("authorization", TOKEN)]
    assert presented(own_entries(TOKEN)) == [("portcall-token", TOKEN)]


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer   "])
def test_scheme_is_read_as_http_does_it(scheme: str) -> None:
    assert presented([("authorization", f"{scheme}{TOKEN}")]) == [("authorization", TOKEN)]


def test_own_entry_comes_first_and_other_schemes_are_the_program_s() -> None:
    metadata = [("authorization", "Bearer x"), ("authorization", "Basic eDp5"), ("x", "y"), ("portcall-token", "z")]
    assert presented(metadata) == [("portcall-token", "z"), ("authorization", "x")]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["authorization", "portcall-token", "x", "x-bin"]),
            st.one_of(st.text(), st.binary(), st.text().map("Bearer ".__add__)),
        )
    )
)
def test_any_metadata_can_be_looked_at(metadata: list[tuple[str, str | bytes]]) -> None:
    found = presented(metadata)
    assert all(key in {"authorization", "portcall-token"} and isinstance(token, str) for key, token in found)
    assert [key for key, _ in found] == sorted((key for key, _ in found), reverse=True)


def test_own_entry_never_travels_in_a_frame() -> None:
    entries = to_frame([*own_entries(TOKEN), ("authorization", "Basic eDp5"), ("x", "y")])
    assert from_frame(entries) == (("authorization", "Basic eDp5"), ("x", "y"))


def test_authorization_that_was_for_the_hub_is_left_out() -> None:
    entries = to_frame_without_authorization([*bearer_entries(TOKEN), *own_entries(TOKEN), ("x", "y")])
    assert from_frame(entries) == (("x", "y"),)
