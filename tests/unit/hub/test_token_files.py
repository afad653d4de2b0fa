"""The hub's token file, and what it decides."""

import hypothesis.strategies as st
import pytest
from grpc import StatusCode
from hypothesis import example, given

from portcall.errors import ConfigurationError
from portcall.hub.tokens import Admission, Refusal, Role, decide, digest, parse_tokens, still_admits
from portcall.wire.tokens import bearer_entries, own_entries

KEY = b"k" * 32
WORKER, CLIENT, BOTH = "worker-0123456789", "client-0123456789", "both-0123456789-x"

FILE = f"""
# who may come in
worker {WORKER} crawlers of the north
  client\t{CLIENT}
worker,client {BOTH} admin # is part of the name
"""
TOKENS = parse_tokens(FILE, "tokens", KEY)


def test_lines_have_roles_token_and_name() -> None:
    found = {(token.name, frozenset(role.value for role in token.roles)) for token in TOKENS.values()}
    assert found == {
        ("crawlers of the north", frozenset({"worker"})),
        ("line 4", frozenset({"client"})),
        ("admin # is part of the name", frozenset({"worker", "client"})),
    }
    assert TOKENS[digest(WORKER, KEY)].name == "crawlers of the north"


def test_tokens_are_kept_as_digests_under_a_key() -> None:
    assert all(secret not in repr(TOKENS) for secret in (WORKER, CLIENT, BOTH))
    assert digest(WORKER, KEY) != digest(WORKER, b"another key")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "tokens has no token"),
        ("# nothing\n\n", "tokens has no token"),
        (WORKER, "tokens, line 1: a line is ROLES TOKEN [NAME]"),
        (f"\nboss {WORKER}", "tokens, line 2: the roles should be worker, client or worker,client"),
        (f"worker, {WORKER}", "tokens, line 1: the roles"),
        (f"Worker {WORKER}", "tokens, line 1: the roles"),
        ("worker short", "tokens, line 1: the token has 5 characters"),
        ('worker "0123456789abcdef"', "tokens, line 1: the token is not a token"),
        (f"worker {WORKER}\nclient {WORKER}", "tokens, line 2: the token is that of line 1 too"),
        (f"worker {WORKER} {'x' * 81}", "tokens, line 1: a name has at most 80"),
        (f"worker {WORKER} a\x07b", "tokens, line 1: a name has at most 80 printable"),
    ],
)
def test_mistake_is_named_by_its_line_and_not_shown(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_tokens(text, "tokens", KEY)
    assert str(raised.value).startswith(words)
    assert WORKER not in str(raised.value)


SECRET = "s3cr3t-s3cr3t-s3cr3t"


@given(st.text(), st.text(), st.sampled_from(["", "worker", "client", "worker,client", "root"]))
@example("", "", "worker")
@example("\ud800", " \x85", "client")
def test_any_file_is_taken_or_refused_and_never_told(before: str, after: str, roles: str) -> None:
    text = f"{before}\n{roles} {SECRET}{after}"
    try:
        tokens = parse_tokens(text, "tokens", KEY)
    except ConfigurationError as error:
        assert SECRET not in str(error)  # noqa: PT017  # that it was raised is not the point
    else:
        assert tokens
        assert all(token.roles and token.name for token in tokens.values())


@pytest.mark.parametrize("present", [bearer_entries, own_entries])
@pytest.mark.parametrize(
    ("token", "role", "outcome"),
    [
        (WORKER, Role.WORKER, None),
        (WORKER, Role.CLIENT, StatusCode.PERMISSION_DENIED),
        (CLIENT, Role.CLIENT, None),
        (CLIENT, Role.WORKER, StatusCode.PERMISSION_DENIED),
        (BOTH, Role.WORKER, None),
        (BOTH, Role.CLIENT, None),
        ("", Role.CLIENT, StatusCode.UNAUTHENTICATED),
        (WORKER[:-1], Role.WORKER, StatusCode.UNAUTHENTICATED),
        (WORKER + "=", Role.WORKER, StatusCode.UNAUTHENTICATED),
        (WORKER.upper(), Role.WORKER, StatusCode.UNAUTHENTICATED),
        ("\udcff" * 20, Role.WORKER, StatusCode.UNAUTHENTICATED),
    ],
)
def test_decision(present: object, token: str, role: Role, outcome: StatusCode | None) -> None:
    verdict = decide(TOKENS, KEY, role, present(token))  # type: ignore[operator]
    if outcome is None:
        assert isinstance(verdict, Admission)
        assert verdict.token.digest == digest(token, KEY)
        assert verdict.is_in_authorization == (present is bearer_entries)
    else:
        assert isinstance(verdict, Refusal)
        assert verdict.code is outcome
        assert not token or token not in verdict.details


def test_no_token_says_how_to_send_one() -> None:
    verdict = decide(TOKENS, KEY, Role.CLIENT, [("authorization", "Basic eDp5"), ("x", "y")])
    assert isinstance(verdict, Refusal)
    assert verdict.code is StatusCode.UNAUTHENTICATED
    assert "authorization: Bearer TOKEN" in verdict.details


def test_own_entry_decides_and_authorization_stays_the_program_s() -> None:
    metadata = [("authorization", "Bearer the-program-s-own-one"), *own_entries(CLIENT)]
    verdict = decide(TOKENS, KEY, Role.CLIENT, metadata)
    assert isinstance(verdict, Admission)
    assert not verdict.is_in_authorization
    wrong = decide(TOKENS, KEY, Role.CLIENT, [*bearer_entries(CLIENT), *own_entries(CLIENT[:-1])])
    assert isinstance(wrong, Refusal)


def test_token_in_authorization_is_known_even_where_it_did_not_decide() -> None:
    verdict = decide(TOKENS, KEY, Role.CLIENT, [*bearer_entries(WORKER), *own_entries(CLIENT)])
    assert isinstance(verdict, Admission)
    assert verdict.is_in_authorization


VALUES = st.one_of(
    st.text(), st.binary(), st.sampled_from([WORKER, CLIENT, BOTH]), st.sampled_from([f"Bearer {CLIENT}", "Bearer "])
)


@given(st.lists(st.tuples(st.sampled_from(["authorization", "portcall-token", "x"]), VALUES)))
def test_any_metadata_is_decided_and_only_a_known_token_admits(metadata: list[tuple[str, str | bytes]]) -> None:
    verdict = decide(TOKENS, KEY, Role.CLIENT, metadata)
    if isinstance(verdict, Admission):
        values = [value for _, value in metadata]
        assert {CLIENT, CLIENT.encode(), BOTH, BOTH.encode(), f"Bearer {CLIENT}"} & set(values)
        assert Role.CLIENT in verdict.token.roles
    else:
        assert verdict.code in {StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED}


def test_what_was_admitted_is_as_long_as_its_token_has_the_role() -> None:
    token = TOKENS[digest(BOTH, KEY)]
    renamed = parse_tokens(f"client {BOTH} other name", "tokens", KEY)
    assert still_admits(TOKENS, token, Role.WORKER)
    assert still_admits(renamed, token, Role.CLIENT)
    assert not still_admits(renamed, token, Role.WORKER)
    assert not still_admits(parse_tokens(f"worker {WORKER}", "tokens", KEY), token, Role.CLIENT)
