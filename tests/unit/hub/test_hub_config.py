"""Where a hub may listen."""

from pathlib import Path

import pytest

from portcall.errors import ConfigurationError
from portcall.hub import HubConfig, ServerTls

TLS = ServerTls(cert=Path("hub.pem"), key=Path("hub.key"))
TOKEN = "abcdefghijklmnop-0123"
BEYOND = ["0.0.0.0:7070", "[::]:7070", "10.0.0.1:7070", "hub.example:7070", "localhost.example:7070"]


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.9.10:7070", "[::1]:7070", "localhost:7070", "unix:/x.sock"])
def test_this_machine_needs_nothing(listen: str) -> None:
    assert HubConfig(listen=listen).listen == listen


@pytest.mark.parametrize("listen", BEYOND)
@pytest.mark.parametrize(
    ("has", "lacks", "has_not"),
    [
        ({}, ["--tls-cert and --tls-key", "--token-file"], []),
        ({"tls": TLS}, ["--token-file"], ["--tls-cert"]),
        ({"token": TOKEN}, ["--tls-cert and --tls-key"], ["--token-file"]),
        ({"token_file": Path("tokens")}, ["--tls-cert and --tls-key"], ["--token-file"]),
    ],
)
def test_network_needs_both_and_is_told_what_is_lacking(
    listen: str, has: dict[str, object], lacks: list[str], has_not: list[str]
) -> None:
    with pytest.raises(ConfigurationError, match="can be reached from beyond this machine") as raised:
        HubConfig(listen=listen, **has)  # type: ignore[arg-type]
    words = str(raised.value)
    assert all(option in words for option in [*lacks, "--insecure", "listen on 127.0.0.1:7070"])
    assert not any(option in words for option in has_not)
    assert TOKEN not in words


@pytest.mark.parametrize("listen", BEYOND)
def test_network_is_listened_on_with_both_or_an_explicit_word(listen: str) -> None:
    assert HubConfig(listen=listen, is_insecure=True)
    assert HubConfig(listen=listen, tls=TLS, token=TOKEN)
    assert HubConfig(listen=listen, tls=TLS, token_file=Path("tokens"))


def test_unix_socket_takes_no_tls() -> None:
    with pytest.raises(ConfigurationError, match="needs no TLS"):
        HubConfig(listen="unix:/x.sock", tls=TLS)


def test_token_is_checked_and_not_printed() -> None:
    with pytest.raises(ConfigurationError, match="PORTCALL_TOKEN has 5 characters"):
        HubConfig(token="short")
    assert TOKEN not in repr(HubConfig(token=TOKEN))
