"""Images go to a registry, come back, and survive its bad days. The registry is Debian's docker-registry.

What is pushed is read by tools that are not ours: skopeo, and umoci, which checks it against the specification.
"""

import asyncio
import base64
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from image_stand import make_project, need, running_registry

from portcall.errors import ConfigurationError
from portcall.image.building import BuildRequest, Built, build
from portcall.image.errors import ImageError
from portcall.image.layout import write_layout
from portcall.image.oci import AMD64
from portcall.image.progress import Silence
from portcall.image.pushing import Pushed, push
from portcall.image.reference import parse_reference
from portcall.image.registry.connection import PULL_AND_PUSH, Connection
from portcall.image.registry.transfer import Transfer
from portcall.image.sources import LayoutSource, open_source, read_whole
from portcall.image.store import Store

from .proxy import Proxy

HTPASSWD = "ada:$2a$05$yMpndjCnYMAVGCdYsxw4o.j/eCJPadSGyLXC/syYh9CnYcsKTa2jm\n"
PASSWORD = "lovelace"


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of Docker that is the test's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker" / "config.json"


def push_to(name: str, image: tuple[Path, Built], store: Store) -> Pushed:
    source = LayoutSource(image[0], "", store)
    return push(read_whole(source), source, parse_reference(name), store, Silence())


def has_tag(registry: str, repository: str, tag: str) -> bool:
    try:
        urlopen(f"http://{registry}/v2/{repository}/tags/list").close()
        with urlopen(f"http://{registry}/v2/{repository}/tags/list") as answer:
            return tag in (json.load(answer)["tags"] or [])
    except HTTPError:
        return False


def run(*arguments: str) -> str:
    need("checks images with tools that are not ours", arguments[0])
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_pushed_comes_back(registry: str, image: tuple[Path, Built], tmp_path: Path) -> None:
    pushed = push_to(f"{registry}/back:1", image, Store(tmp_path / "a"))
    store = Store(tmp_path / "b")
    source = open_source(f"{registry}/back:1", store, Silence())
    whole = read_whole(source)
    assert whole.descriptor.digest == pushed.digest == image[1].index.digest
    assert [part.layers for part in whole.parts] == [list(part.layers) for part in image[1].parts]
    for layer in whole.parts[0].layers:
        assert source.blob(layer).stat().st_size == layer.size
    source.close()


def test_layers_that_the_registry_has_are_not_sent_again(
    registry: str, image: tuple[Path, Built], store: Store
) -> None:
    first = push_to(f"{registry}/again:1", image, store)
    second = push_to(f"{registry}/again:2", image, store)
    assert first.sent
    assert not second.sent
    assert len(second.there) == len(first.sent) + len(first.there)


def test_tools_that_are_not_ours_read_it(
    registry: str, image: tuple[Path, Built], store: Store, tmp_path: Path
) -> None:
    push_to(f"{registry}/tools:1", image, store)
    told = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{registry}/tools:1"))
    assert told["Digest"] == image[1].index.digest
    assert told["Labels"]["portcall.kind"] == "worker"
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{registry}/tools:1", f"oci:{tmp_path / 'copy'}:one")
    run("umoci", "unpack", "--rootless", "--image", f"{tmp_path / 'copy'}:one", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle" / "rootfs" / "app" / "app.py").is_file()
    assert (tmp_path / "bundle" / "rootfs" / "opt" / "venv" / "bin" / "portcall").stat().st_mode & 0o111
    spec = json.loads((tmp_path / "bundle" / "config.json").read_text())
    assert spec["process"]["args"] == ["/opt/venv/bin/portcall", "worker", "app:worker"]


def test_the_base_may_be_in_a_registry_and_its_tag_is_fixed(
    registry: str, base_folder: Path, wheel_folder: Path, tmp_path: Path
) -> None:
    need("pushes a base", "skopeo")
    name = f"{registry}/library/python:3"
    run("skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{base_folder}", f"docker://{name}")
    project = make_project(tmp_path / "greeter", wheel_folder)
    store = Store(tmp_path / "cache")
    first = build(BuildRequest(folder=project, base=name, platforms=(AMD64,)), store, Silence())
    known = json.loads((project / "portcall-image.lock").read_text())["bases"]
    assert known == {name: first.identity.base_digest}
    run(
        *("skopeo", "copy", "--dest-tls-verify=false", "--override-arch", "arm64"),
        *(f"oci:{base_folder}", f"docker://{name}"),
    )  # the tag has moved
    (project / "requirements.txt").touch()
    again = build(BuildRequest(folder=project, base=name, platforms=(AMD64,)), Store(tmp_path / "new"), Silence())
    assert again.identity.base_digest == first.identity.base_digest
    write_layout(tmp_path / "image", again.index, again.blobs, Store(tmp_path / "new"), ())
    pushed = push_to(f"{registry}/mounted:1", (tmp_path / "image", again), Store(tmp_path / "new"))
    base_layer = again.parts[0].layers[0]
    assert base_layer in pushed.there, "mounted from the base's repository"


# --- who we are -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("guarded"), htpasswd=HTPASSWD) as address:
        yield address


def test_without_credentials_the_error_says_how_to_log_in(
    guarded: str, image: tuple[Path, Built], store: Store
) -> None:
    with pytest.raises(ConfigurationError, match=f"does not know nobody .*docker login {guarded}"):
        push_to(f"{guarded}/app:1", image, store)


def test_wrong_credentials_are_named_without_the_password(
    guarded: str, image: tuple[Path, Built], store: Store, docker_config: Path
) -> None:
    auth = base64.b64encode(b"ada:wrong-password").decode()
    docker_config.write_text(json.dumps({"auths": {guarded: {"auth": auth}}}))
    with pytest.raises(ConfigurationError, match=r"does not know ada \(from .*config\.json\)") as raised:
        push_to(f"{guarded}/app:1", image, store)
    assert "wrong-password" not in str(raised.value)


def test_credentials_of_dockers_configuration_are_used(
    guarded: str, image: tuple[Path, Built], store: Store, docker_config: Path
) -> None:
    docker_config.write_text(
        json.dumps({"auths": {guarded: {"auth": base64.b64encode(f"ada:{PASSWORD}".encode()).decode()}}})
    )
    assert push_to(f"{guarded}/app:1", image, store).sent


def test_credentials_come_from_a_helper(
    guarded: str, image: tuple[Path, Built], store: Store, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = docker_config.parent / "docker-credential-tests"
    helper.write_text(
        "#!/bin/sh\nread server\n"
        f'[ "$server" = "{guarded}" ] || {{ echo "credentials not found in native keychain"; exit 1; }}\n'
        f'echo \'{{"Username": "ada", "Secret": "{PASSWORD}"}}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker_config.parent}:/usr/bin:/bin")
    docker_config.write_text(json.dumps({"credsStore": "tests"}))
    assert push_to(f"{guarded}/helped:1", image, store).digest
    docker_config.write_text(json.dumps({"credsStore": "missing"}))
    with pytest.raises(ConfigurationError, match="docker-credential-missing, which is not installed"):
        push_to(f"{guarded}/helped:1", image, store)


# --- bad days ---------------------------------------------------------------------------------------------------------


class Cutting(Silence):
    """Cuts the connections when so much of a blob has been sent; then lets them be made again."""

    def __init__(self, proxy: Proxy, loop: asyncio.AbstractEventLoop, *, at: int, times: int) -> None:
        self.proxy, self.loop, self.at, self.times = proxy, loop, at, times

    def moved(self, what: str, done: int, total: int) -> None:
        if self.times and done >= self.at:
            self.times -= 1
            asyncio.run_coroutine_threadsafe(self._cut(), self.loop).result()

    async def _cut(self) -> None:
        self.proxy.cut()
        self.proxy.restore()


async def test_a_push_goes_on_where_its_connection_broke(
    registry: str, image: tuple[Path, Built], tmp_path: Path
) -> None:
    async with Proxy(registry) as proxy:
        loop = asyncio.get_running_loop()
        cutting = Cutting(proxy, loop, at=8 << 20, times=2)
        source = LayoutSource(image[0], "", Store(tmp_path / "cache"))
        to = parse_reference(f"{proxy.address}/cut:1")
        pushed = await asyncio.to_thread(push, read_whole(source), source, to, Store(tmp_path / "cache"), cutting)
    assert not cutting.times
    assert pushed.digest == image[1].index.digest
    assert has_tag(registry, "cut", "1")


async def test_a_registry_that_stays_away_is_an_error_and_no_tag_names_half_an_image(
    registry: str, image: tuple[Path, Built], tmp_path: Path
) -> None:
    store = Store(tmp_path / "cache")
    source = LayoutSource(image[0], "", store)

    class Ending(Cutting):
        async def _cut(self) -> None:
            self.proxy.cut()

    async with Proxy(registry) as proxy:
        ending = Ending(proxy, asyncio.get_running_loop(), at=8 << 20, times=1)
        to = parse_reference(f"{proxy.address}/ended:1")

        def push_without_patience() -> None:
            with Connection(to, PULL_AND_PUSH, wait=lambda _: None) as connection:
                transfer = Transfer(connection, store, ending)
                for layer in read_whole(source).parts[0].layers:
                    transfer.push(layer, source.blob)

        with pytest.raises(ImageError, match=r"cannot be reached: .*run this again"):
            await asyncio.to_thread(push_without_patience)
        assert not has_tag(registry, "ended", "1")
        proxy.restore()
        sizes: list[int] = []

        class Noting(Silence):
            def moved(self, what: str, done: int, total: int) -> None:
                sizes.append(done)

        pushed = await asyncio.to_thread(push, read_whole(source), source, to, store, Noting())
    assert pushed.digest == image[1].index.digest
    assert has_tag(registry, "ended", "1")


class Breaking:
    """Passes everything on to a registry, but ends the connection when a tag shall be written, as long as it is on."""

    def __init__(self, registry: str, repository: str) -> None:
        self._host, _, self._port = registry.rpartition(":")
        self._line = f"PUT /v2/{repository}/manifests/1 ".encode()
        self.is_on = True
        self.requests: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._host, int(self._port))
        back = asyncio.create_task(self._pass(up_reader, writer))
        there = asyncio.create_task(self._pass(reader, up_writer, watched=True))
        for task in (back, there):
            self._tasks.add(task)
            task.add_done_callback(lambda _: (writer.close(), up_writer.close()))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                if watched:
                    self.requests += [line.decode() for line in re.findall(rb"^(?:PUT|POST|PATCH) \S+", piece)]
                    if self.is_on and piece.startswith(self._line):
                        return
                writer.write(piece)
                await writer.drain()


async def test_a_push_that_ends_before_the_tag_is_written_is_ended_by_the_next(
    registry: str, image: tuple[Path, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "wait_before", lambda *_: None)
    store = Store(tmp_path / "cache")
    breaking = Breaking(registry, "late")
    async with breaking.running() as address:
        with pytest.raises(ImageError, match=r"cannot be reached: .*run this again"):
            await asyncio.to_thread(push_to, f"{address}/late:1", image, store)
        assert not has_tag(registry, "late", "1")
        assert [line for line in breaking.requests if "/blobs/" in line]
        breaking.is_on = False
        breaking.requests.clear()
        pushed = await asyncio.to_thread(push_to, f"{address}/late:1", image, store)
    assert not pushed.sent
    assert [line for line in breaking.requests if "/manifests/" not in line] == []
    assert pushed.digest == image[1].index.digest
    assert has_tag(registry, "late", "1")


async def test_a_pull_goes_on_where_its_connection_broke(
    registry: str, image: tuple[Path, Built], store: Store, tmp_path: Path
) -> None:
    await asyncio.to_thread(push_to, f"{registry}/pulled:1", image, store)
    fresh = Store(tmp_path / "fresh")
    layer = image[1].parts[0].layers[0]
    async with Proxy(registry) as proxy:
        cutting = Cutting(proxy, asyncio.get_running_loop(), at=4 << 20, times=2)
        source = open_source(f"{proxy.address}/pulled:1", fresh, cutting)
        path = await asyncio.to_thread(source.blob, layer)
        source.close()
    assert not cutting.times
    assert path.stat().st_size == layer.size
    assert not list((fresh.folder / "partial").iterdir())


def test_a_registry_that_is_not_there_is_named(image: tuple[Path, Built], tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    to = parse_reference("127.0.0.1:1/app:1")
    with (
        Connection(to, PULL_AND_PUSH, wait=lambda _: None) as connection,
        pytest.raises(ImageError, match=r"127\.0\.0\.1:1 cannot be reached: .*refused"),
    ):
        Transfer(connection, store, Silence()).has_blob("sha256:" + "a" * 64)


def test_an_image_that_is_not_there_is_named(registry: str, tmp_path: Path) -> None:
    source = open_source(f"{registry}/nothing:1", Store(tmp_path / "cache"), Silence())
    with pytest.raises(ConfigurationError, match=f"{registry} has nothing there: cannot read nothing at 1"):
        source.image()
    source.close()
