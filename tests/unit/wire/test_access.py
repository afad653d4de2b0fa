"""How a program reaches its hub: from arguments, or else from the environment."""

import subprocess
import sys
from pathlib import Path

import pytest
from pki import Authority

from portcall.errors import ConfigurationError
from portcall.wire.access import Access, Tls, host_and_port, is_this_machine, resolve_access, unix_path

TOKEN = "abcdefghijklmnop-0123"
OTHER = "ABCDEFGHIJKLMNOP-0123"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


def test_nothing_said_is_the_hub_of_this_machine_in_clear() -> None:
    assert resolve_access(environ={}) == Access(target="127.0.0.1:7070", tls=None, token=None)


def test_environment_says_all_of_it(authority: Authority) -> None:
    issued = authority.issue()
    environ = {
        "PORTCALL_HUB": "hub.example:70",
        "PORTCALL_TOKEN": TOKEN,
        "PORTCALL_TLS_CA": str(authority.ca),
        "PORTCALL_TLS_CERT": str(issued.cert),
        "PORTCALL_TLS_KEY": str(issued.key),
    }
    access = resolve_access(environ=environ)
    assert access.target == "hub.example:70"
    assert access.read_token() == TOKEN
    assert access.tls == Tls(ca=str(authority.ca), cert=str(issued.cert), key=str(issued.key))


def test_arguments_win_over_the_environment(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    environ = {"PORTCALL_HUB": "a:1", "PORTCALL_TOKEN": OTHER, "PORTCALL_TOKEN_FILE": "nope", "PORTCALL_TLS": "1"}
    access = resolve_access("b:2", token=file, tls=Tls(ca=authority.ca), environ=environ)
    assert (access.target, access.read_token(), access.tls) == ("b:2", TOKEN, Tls(ca=authority.ca))
    assert resolve_access("b:2", token=TOKEN, tls=True, environ=environ).tls == Tls()
    assert resolve_access("localhost:2", token=TOKEN, tls=False, environ=environ).tls is None


def test_file_of_the_environment_wins_over_the_token_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    environ = {"PORTCALL_TOKEN": OTHER, "PORTCALL_TOKEN_FILE": str(file)}
    assert resolve_access(environ=environ).read_token() == TOKEN


def test_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    access = resolve_access(token=file, environ={})
    file.write_text(OTHER)
    assert access.read_token() == OTHER


@pytest.mark.parametrize(("value", "is_on"), [("1", True), ("yes", True), ("TRUE", True), ("0", False), ("", False)])
def test_flag_of_the_environment(value: str, is_on: bool) -> None:
    access = resolve_access(environ={"PORTCALL_TLS": value})
    assert access.tls == (Tls() if is_on else None)


def test_flag_that_is_neither_is_named() -> None:
    with pytest.raises(ConfigurationError, match="PORTCALL_TLS is 'maybe'; it should be 1 or 0"):
        resolve_access(environ={"PORTCALL_TLS": "maybe"})


@pytest.mark.parametrize("target", ["hub.example:70", "10.0.0.1:70", "[fd00::1]:70", "dns:localhost.example:70"])
def test_token_does_not_travel_in_clear_beyond_this_machine(target: str) -> None:
    with pytest.raises(ConfigurationError, match=r"will not send the token to .* in clear") as raised:
        resolve_access(target, token=TOKEN, environ={})
    assert "--tls-ca" in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert resolve_access(target, token=TOKEN, tls=True, environ={}).is_encrypted
    assert resolve_access(target, token=TOKEN, is_insecure=True, environ={}).token == TOKEN
    assert resolve_access(target, token=TOKEN, environ={"PORTCALL_INSECURE": "1"}).token == TOKEN
    assert resolve_access(target, environ={}).token is None


@pytest.mark.parametrize(
    "target", ["localhost:70", "127.1.2.3:70", "[::1]:70", "unix:/run/hub.sock", "dns:localhost:7"]
)
def test_token_may_travel_in_clear_on_this_machine(target: str) -> None:
    assert is_this_machine(target)
    assert resolve_access(target, token=TOKEN, environ={}).token == TOKEN


def test_unix_socket_needs_no_tls() -> None:
    assert not Access(target="unix:/run/hub.sock", tls=Tls()).is_encrypted


def test_mistakes_in_files_are_told_before_anything_is_dialled(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the token file"):
        resolve_access(token=tmp_path / "nope", environ={})
    with pytest.raises(ConfigurationError, match="cannot read the file of authorities"):
        resolve_access(tls=Tls(ca=tmp_path / "nope"), environ={})
    mine, other = authority.issue(), authority.issue()
    with pytest.raises(ConfigurationError, match="the key is another certificate's"):
        resolve_access(tls=Tls(cert=mine.cert, key=other.key), environ={})


def test_certificate_and_key_come_together() -> None:
    with pytest.raises(ConfigurationError, match="TLS has a cert without its key"):
        Tls(cert="a.pem")
    with pytest.raises(ConfigurationError, match="TLS has a key without its cert"):
        Tls(key="a.key")


def test_token_is_not_in_what_is_printed_of_an_access() -> None:
    assert TOKEN not in repr(resolve_access(token=TOKEN, environ={}))


def test_host_and_port_of_every_form() -> None:
    forms = {
        "hub:70": ("hub", 70),
        "[fd00::1]:70": ("fd00::1", 70),
        "dns:hub:70": ("hub", 70),
        "dns:///hub:70": ("hub", 70),
        "dns://8.8.8.8/hub:70": ("hub", 70),
        "ipv4:10.0.0.1:70": ("10.0.0.1", 70),
        "ipv6:[fd00::1]:70": ("fd00::1", 70),
        "dns:hub": ("hub", 443),
    }
    assert {form: host_and_port(form) for form in forms} == forms


def test_path_of_both_forms_of_a_unix_socket() -> None:
    assert unix_path("unix:/a/b") == unix_path("unix:///a/b") == Path("/a/b")
    assert unix_path("unix:b") == Path("b")


def test_options_of_commands_load_without_grpc() -> None:
    code = "import sys; import portcall.cli.options; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "grpc" not in done.stdout.splitlines()
