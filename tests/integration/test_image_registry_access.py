"""Registries that want tokens, and registries with certificates: Debian's docker-registry, set up like those."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from image_stand import running_registry
from pki import Authority
from token_server import TokenServer, running_tokens

from portcall.errors import ConfigurationError
from portcall.image.building import Built
from portcall.image.progress import Silence
from portcall.image.pushing import Pushed, push
from portcall.image.reference import parse_reference
from portcall.image.sources import LayoutSource, open_source, read_whole
from portcall.image.store import Store


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of Docker, and certificates, that are the test's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker" / "config.json"


def push_to(name: str, image: tuple[Path, Built], store: Store, progress: Silence | None = None) -> Pushed:
    source = LayoutSource(image[0], "", store)
    return push(read_whole(source), source, parse_reference(name), store, progress or Silence())


def log_in(config: Path, registry: str, password: str = "lovelace") -> None:
    auth = base64.b64encode(f"ada:{password}".encode()).decode()
    config.write_text(json.dumps({"auths": {registry: {"auth": auth}}}))


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    with running_tokens(tmp_path) as running:
        yield running


@pytest.fixture
def registry(tmp_path: Path, tokens: TokenServer) -> Iterator[str]:
    with running_registry(tmp_path / "registry", tokens=tokens) as address:
        yield address


def test_one_token_is_enough_to_push_and_one_to_pull(
    registry: str, tokens: TokenServer, image: tuple[Path, Built], docker_config: Path, tmp_path: Path
) -> None:
    log_in(docker_config, registry)
    pushed = push_to(f"{registry}/team/app:1", image, Store(tmp_path / "a"))
    assert tokens.scopes == [["repository:team/app:pull,push"]]
    source = open_source(f"{registry}/team/app:1", Store(tmp_path / "b"), Silence())
    whole = read_whole(source)
    assert whole.descriptor.digest == pushed.digest
    assert source.blob(whole.parts[0].layers[-1]).is_file()
    source.close()
    assert tokens.scopes[1:] == [["repository:team/app:pull"]]


def test_what_everybody_may_pull_needs_no_credentials(
    registry: str, tokens: TokenServer, image: tuple[Path, Built], docker_config: Path, tmp_path: Path
) -> None:
    log_in(docker_config, registry)
    push_to(f"{registry}/app:1", image, Store(tmp_path / "a"))
    docker_config.unlink()
    source = open_source(f"{registry}/app:1", Store(tmp_path / "b"), Silence())
    assert read_whole(source).parts
    source.close()
    with pytest.raises(ConfigurationError, match=f"let nobody .* write app .*docker login {registry}"):
        push_to(f"{registry}/app:2", image, Store(tmp_path / "c"))


def image_with_another_config(image: tuple[Path, Built]) -> tuple[Path, Built]:
    return image


def test_a_wrong_password_is_said_once_and_not_shown(
    registry: str, tokens: TokenServer, image: tuple[Path, Built], docker_config: Path, tmp_path: Path
) -> None:
    log_in(docker_config, registry, "byron-the-poet")
    with pytest.raises(ConfigurationError, match=rf"does not know ada .*docker login {registry}") as raised:
        push_to(f"{registry}/app:1", image, Store(tmp_path / "a"))
    assert "byron" not in str(raised.value)
    assert not tokens.tokens


def test_who_may_only_read_is_told_so(
    registry: str, tokens: TokenServer, image: tuple[Path, Built], docker_config: Path, tmp_path: Path
) -> None:
    tokens.readers.add("ada")
    log_in(docker_config, registry)
    with pytest.raises(ConfigurationError, match=r"does not let ada \(from .*\) write to app"):
        push_to(f"{registry}/app:1", image, Store(tmp_path / "a"))


def test_a_token_that_expires_in_the_middle_of_a_push_is_replaced(
    registry: str, tokens: TokenServer, image: tuple[Path, Built], docker_config: Path, tmp_path: Path
) -> None:
    log_in(docker_config, registry)
    tokens.lives_s = [3.0]

    class WaitingForTheEnd(Silence):
        def moved(self, what: str, done: int, total: int) -> None:
            if done >= 8 << 20 and len(tokens.tokens) == 1:
                while is_taken(registry, tokens.tokens[0]):
                    pass

    pushed = push_to(f"{registry}/app:1", image, Store(tmp_path / "a"), WaitingForTheEnd())
    assert pushed.digest == image[1].index.digest
    assert tokens.scopes == [["repository:app:pull,push"]] * 2
    source = open_source(f"{registry}/app:1", Store(tmp_path / "b"), Silence())
    assert source.image()[0].digest == pushed.digest
    source.close()


def is_taken(registry: str, token: str) -> bool:
    """Whether the registry still takes a token: the clock alone ends it."""
    try:
        urlopen(Request(f"http://{registry}/v2/", headers={"Authorization": f"Bearer {token}"})).close()
    except HTTPError as error:
        return error.code != 401
    return True


# --- certificates -----------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def encrypted(tmp_path: Path, authority: Authority) -> Iterator[str]:
    with running_registry(tmp_path / "registry", tls=authority.issue()) as address:
        yield address


def trust(config_home: Path, registry: str, authority: Authority, engine: str = "docker") -> None:
    place = config_home / engine / "certs.d" / registry
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes(authority.ca.read_bytes())


@pytest.mark.parametrize("engine", ["docker", "containers"])
def test_an_authority_of_ones_own_is_taken_from_where_engines_have_it(
    encrypted: str, authority: Authority, image: tuple[Path, Built], tmp_path: Path, engine: str
) -> None:
    trust(tmp_path / "config", encrypted, authority, engine)
    assert push_to(f"{encrypted}/app:1", image, Store(tmp_path / "a")).sent


def test_an_authority_may_be_named_in_the_environment(
    encrypted: str, authority: Authority, image: tuple[Path, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    assert push_to(f"{encrypted}/app:1", image, Store(tmp_path / "a")).sent


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(
    encrypted: str, image: tuple[Path, Built], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        push_to(f"{encrypted}/app:1", image, Store(tmp_path / "a"))
    words = str(raised.value)
    assert f"the certificate of the registry {encrypted} is not trusted: " in words
    assert f"/etc/docker/certs.d/{encrypted}/ca.crt" in words
    assert "SSL_CERT_FILE" in words


@pytest.mark.parametrize(
    ("names", "days_left", "words"),
    [(("other.example",), 90, "IP address mismatch"), (("127.0.0.1",), -1, "certificate has expired")],
)
def test_a_wrong_certificate_is_refused_in_words(
    authority: Authority, image: tuple[Path, Built], tmp_path: Path, names: tuple[str, ...], days_left: int, words: str
) -> None:
    with running_registry(tmp_path / "registry", tls=authority.issue(*names, days_left=days_left)) as registry:
        trust(tmp_path / "config", registry, authority)
        with pytest.raises(ConfigurationError, match=words):
            push_to(f"{registry}/app:1", image, Store(tmp_path / "a"))


def test_a_registry_that_is_named_insecure_may_show_any_certificate(
    encrypted: str, image: tuple[Path, Built], tmp_path: Path
) -> None:
    store = Store(tmp_path / "a")
    source = LayoutSource(image[0], "", store)
    to = parse_reference(f"{encrypted}/app:1")
    assert push(read_whole(source), source, to, store, Silence(), frozenset({encrypted})).sent


def test_a_registry_elsewhere_has_to_speak_https(
    image: tuple[Path, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portcall.image.registry.connection.is_loopback", lambda _: False)
    with running_registry(tmp_path / "registry") as registry:
        with pytest.raises(ConfigurationError, match=rf"does not speak HTTPS.*--insecure-registry {registry}"):
            push_to(f"{registry}/app:1", image, Store(tmp_path / "a"))
        store = Store(tmp_path / "a")
        source = LayoutSource(image[0], "", store)
        to = parse_reference(f"{registry}/app:1")
        assert push(read_whole(source), source, to, store, Silence(), frozenset({registry})).sent


def test_a_broken_certificate_of_ones_own_is_named(encrypted: str, image: tuple[Path, Built], tmp_path: Path) -> None:
    place = tmp_path / "config" / "docker" / "certs.d" / encrypted
    place.mkdir(parents=True)
    (place / "ca.crt").write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"cannot use the certificate .*ca\.crt"):
        push_to(f"{encrypted}/app:1", image, Store(tmp_path / "a"))
