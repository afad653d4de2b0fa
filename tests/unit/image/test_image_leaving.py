"""What is not copied into an image."""

import pytest

from portcall.image.leaving import DockerIgnore, is_needless, secret_reason


@pytest.mark.parametrize(
    ("path", "head"),
    [
        (".env", b""),
        ("deploy/.env.production", b""),
        ("prod.env", b""),
        ("certs/server.key", b""),
        ("home/.ssh/known_hosts", b""),
        ("id_ed25519", b""),
        ("tokens", b""),
        ("google-credentials-prod.json", b""),
        ("notes.txt", b"see:\n-----BEGIN RSA PRIVATE KEY-----\nabc"),
        ("server.pem", b"-----BEGIN PRIVATE KEY-----\nabc"),
        ("key.example", b"-----BEGIN PRIVATE KEY-----\nabc"),
        ("hub.txt", b"# tokens\nworker abcdefghijklmnopqrstuvwxyz crawlers\n"),
    ],
)
def test_secrets_are_known(path: str, head: bytes) -> None:
    assert secret_reason(path, head)


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("app.py", b"worker = 1"),
        (".env.example", b"KEY="),
        ("ca.pem", b"-----BEGIN CERTIFICATE-----\nabc"),
        ("environment.py", b""),
        ("keys.py", b'KEY = "-----BEGIN PRIVATE KEY-----"'),
        ("tokens.py", b""),
        ("client.js", b"client x"),
    ],
)
def test_what_is_no_secret_is_kept(path: str, head: bytes) -> None:
    assert not secret_reason(path, head)


@pytest.mark.parametrize(
    "path", [".git/config", "a/__pycache__/b.pyc", ".venv/bin/python", "build/x", "x.egg-info/y", "a/b.whl"]
)
def test_leftovers_of_tools_are_needless(path: str) -> None:
    assert is_needless(path)


@pytest.mark.parametrize("path", ["app.py", "src/build/x.py", "dist.py", "git/config"])
def test_the_rest_is_not(path: str) -> None:
    assert not is_needless(path)


RULES = """
# a comment
*.md
!README.md
tests
docs/**/*.png
/only/at/root
temp?
**/deep
data/[a-c]*
"""


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("NOTES.md", True),
        ("README.md", False),
        ("sub/NOTES.md", False),
        ("tests/a/b.py", True),
        ("docs/a.png", True),
        ("docs/a/b/c.png", True),
        ("docs/a.svg", False),
        ("only/at/root", True),
        ("x/only/at/root", False),
        ("temp1", True),
        ("temp12", False),
        ("a/b/deep/c", True),
        ("deep", True),
        ("data/apple", True),
        ("data/zebra", False),
    ],
)
def test_dockerignore_means_what_docker_says(path: str, ignored: bool) -> None:
    assert DockerIgnore(RULES).is_ignored(path) is ignored


def test_an_exception_that_names_a_secret_lets_it_in() -> None:
    rules = DockerIgnore("!config/public.key\n")
    assert rules.is_included_by_name("config/public.key")
    assert not rules.is_included_by_name("config/other.key")
