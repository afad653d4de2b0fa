"""Names of images, read as `docker pull` reads them."""

import pytest

from portcall.errors import ConfigurationError
from portcall.image.reference import parse_reference
from portcall.image.registry.pools import is_loopback, proxy_for

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("team/app:1", "docker.io/team/app:1"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"python:3@{DIGEST}", f"docker.io/library/python:3@{DIGEST}"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000/a/b/c:1"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("ghcr.io/team/app", "ghcr.io/team/app:latest"),
    ],
)
def test_a_name_means_this(text: str, whole: str) -> None:
    assert str(parse_reference(text)) == whole
    assert parse_reference(whole) == parse_reference(text)


@pytest.mark.parametrize(
    "text", ["", "App", "app:", "a b", "app@sha256:1", "app@", "app:t@g", "-a/b", "host:99/../x", "a//b"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no image"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("localhost", True), ("localhost:5000", True), ("127.0.0.1:5000", True), ("127.9.9.9", True), ("[::1]:5000", True),
     ("[::1]", True), ("10.0.0.1:5000", False), ("localhost.example.com", False), ("docker.io", False)],
)  # fmt: skip
def test_which_registries_are_on_this_machine(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here


def test_proxies_of_the_environment_are_used_but_not_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_for("https://registry.example.com/v2/") == "http://proxy.example:3128"
    assert proxy_for("http://registry.example.com/v2/") == ""
    for host in ("inside.example", "127.0.0.1:5000", "localhost:5000", "[::1]:5000"):
        assert proxy_for(f"https://{host}/v2/") == ""
