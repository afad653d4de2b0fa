"""Registries that send us elsewhere: to a CDN for blobs, to other hosts for uploads. Our credentials stay at home."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pki import Authority
from scripted_server import Said, ScriptedServer, running_script

from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError
from portcall.image.oci import LAYER, Descriptor
from portcall.image.progress import Silence
from portcall.image.reference import parse_reference
from portcall.image.registry.connection import PULL_AND_PUSH, Connection
from portcall.image.registry.transfer import Transfer
from portcall.image.store import Store

CONTENT = b"what a layer is made of"
BLOB = Descriptor(media_type=LAYER, digest=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", size=len(CONTENT))
BASIC = f"Basic {base64.b64encode(b'ada:lovelace').decode()}"
AT = f"/v2/app/blobs/{BLOB.digest}"
UPLOADS = "/v2/app/blobs/uploads/"


@pytest.fixture
def registry() -> Iterator[ScriptedServer]:
    with running_script() as running:
        running.challenge = 'Basic realm="tests"'
        yield running


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    with running_script() as running:
        yield running


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker" / "config.json"


def connect(registry: ScriptedServer, docker_config: Path) -> Connection:
    """Connect as somebody whom the registry knows."""
    auths = {registry.address: {"auth": BASIC.removeprefix("Basic ")}}
    docker_config.write_text(json.dumps({"auths": auths}))
    return Connection(parse_reference(f"{registry.address}/app"), PULL_AND_PUSH, wait=lambda _: None)


def fetch(registry: ScriptedServer, docker_config: Path, store: Store) -> bytes:
    with connect(registry, docker_config) as connection:
        transfer = Transfer(connection, store, Silence())
        transfer.has_blob(BLOB.digest)  # by now the registry knows us
        return transfer.fetch(BLOB).read_bytes()


def push(registry: ScriptedServer, docker_config: Path, store: Store) -> bool:
    path = docker_config.parent / "layer"
    path.write_bytes(CONTENT)
    with connect(registry, docker_config) as connection:
        return Transfer(connection, store, Silence()).push(BLOB, lambda _: path)


def lines(server: ScriptedServer) -> list[str]:
    return [asked.line for asked in server.asked]


def to(url: str, status: int = 307) -> Said:
    return Said(status=status, headers={"Location": url})


# --- pulling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_that_a_cdn_has_is_got_there_without_our_credentials(
    registry: ScriptedServer, elsewhere: ScriptedServer, docker_config: Path, tmp_path: Path, status: int
) -> None:
    registry.says[f"GET {AT}"] = to(f"http://{elsewhere.address}/signed?by=registry", status)
    elsewhere.says["GET /signed"] = Said(status=200, body=CONTENT)
    assert fetch(registry, docker_config, Store(tmp_path / "cache")) == CONTENT
    assert registry.asked[-1].authorization == BASIC
    assert [(asked.line, asked.authorization) for asked in elsewhere.asked] == [("GET /signed", "")]


def test_a_registry_that_sends_us_on_for_ever_is_an_error_at_once(
    registry: ScriptedServer, docker_config: Path, tmp_path: Path
) -> None:
    registry.says[f"GET {AT}"] = to(AT)
    with pytest.raises(ImageError, match=rf"{registry.address} sends us on more than 5 times, .*{BLOB.digest}"):
        fetch(registry, docker_config, Store(tmp_path / "cache"))
    with_leave = [asked for asked in registry.asked if asked.line == f"GET {AT}" and asked.authorization]
    assert len(with_leave) == 6


def test_tokens_may_be_elsewhere_than_the_realm_says(
    registry: ScriptedServer, elsewhere: ScriptedServer, docker_config: Path, tmp_path: Path
) -> None:
    registry.challenge = f'Bearer realm="http://{elsewhere.address}/old",service="tests"'
    elsewhere.says["GET /old"] = to("/token")
    elsewhere.says["GET /token"] = Said(status=200, body=b'{"token": "of-the-tests"}')
    registry.says[f"GET {AT}"] = Said(status=200, body=CONTENT)
    assert fetch(registry, docker_config, Store(tmp_path / "cache")) == CONTENT
    assert [asked.authorization for asked in elsewhere.asked] == [BASIC, BASIC]
    assert registry.asked[-1].authorization == "Bearer of-the-tests"


# --- pushing ----------------------------------------------------------------------------------------------------------


def test_an_upload_may_go_elsewhere_and_our_credentials_do_not(
    registry: ScriptedServer, elsewhere: ScriptedServer, docker_config: Path, tmp_path: Path
) -> None:
    registry.says[f"POST {UPLOADS}"] = to(f"http://{elsewhere.address}/upload", 202)
    elsewhere.says["PUT /upload"] = Said(status=201)
    assert push(registry, docker_config, Store(tmp_path / "cache"))
    assert [(asked.line, asked.authorization) for asked in elsewhere.asked] == [("PUT /upload", "")]


def test_a_remembered_upload_that_only_begins_like_the_registry_is_begun_anew(
    registry: ScriptedServer, elsewhere: ScriptedServer, docker_config: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "cache")
    lure = f"http://{registry.address}@{elsewhere.address}/upload"
    store.note(f"upload of {BLOB.digest} to {registry.address}/app", lure)
    registry.says[f"POST {UPLOADS}"] = to("/upload", 202)
    registry.says["PUT /upload"] = Said(status=201)
    assert push(registry, docker_config, store)
    assert lines(elsewhere) == []
    assert lines(registry)[-2:] == [f"POST {UPLOADS}", "PUT /upload"]


@pytest.fixture
def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A registry with HTTPS that, as one of another machine, may not be plain."""
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    monkeypatch.setattr("portcall.image.registry.connection.is_loopback", lambda _: False)
    with running_script(authority.issue()) as running:
        running.challenge = 'Basic realm="tests"'
        yield running


def test_a_registry_that_does_not_know_of_the_tls_before_it_gets_everything_by_tls(
    encrypted: ScriptedServer, docker_config: Path, tmp_path: Path
) -> None:
    encrypted.says[f"POST {UPLOADS}"] = to(f"http://{encrypted.address}/upload", 202)
    encrypted.says["PUT /upload"] = Said(status=201)
    assert push(encrypted, docker_config, Store(tmp_path / "cache"))
    assert encrypted.asked[-1].line == "PUT /upload"
    assert encrypted.asked[-1].authorization == BASIC


def test_an_upload_in_clear_text_is_refused(
    encrypted: ScriptedServer, elsewhere: ScriptedServer, docker_config: Path, tmp_path: Path
) -> None:
    encrypted.says[f"POST {UPLOADS}"] = to(f"http://{elsewhere.address}/upload", 202)
    with pytest.raises(ImageError, match=rf"sends us to http://{elsewhere.address}, unencrypted.*--insecure-registry"):
        push(encrypted, docker_config, Store(tmp_path / "cache"))
    assert lines(elsewhere) == []


# --- who may ask for credentials --------------------------------------------------------------------------------------


@pytest.mark.parametrize("does", [fetch, push])
def test_only_the_registry_itself_may_ask_for_our_credentials(
    registry: ScriptedServer,
    elsewhere: ScriptedServer,
    docker_config: Path,
    tmp_path: Path,
    does: Callable[[ScriptedServer, Path, Store], object],
) -> None:
    elsewhere.challenge = f'Bearer realm="http://{elsewhere.address}/token"'
    registry.says[f"GET {AT}"] = to(f"http://{elsewhere.address}/first")
    registry.says[f"POST {UPLOADS}"] = to(f"http://{elsewhere.address}/upload", 202)
    with pytest.raises(ConfigurationError, match=f"does not let ada|{registry.address} does not know"):
        does(registry, docker_config, Store(tmp_path / "cache"))
    assert {asked.authorization for asked in elsewhere.asked} == {""}
    assert "GET /token" not in lines(elsewhere)
