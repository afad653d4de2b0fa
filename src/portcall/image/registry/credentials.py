"""Who we are at a registry: as Docker's own configuration says, and the credential helpers that it names."""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portcall.errors import ConfigurationError
from portcall.image.reference import DOCKER_HUB
from portcall.image.running import Command, run

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
IDENTITY_TOKEN = "<token>"  # noqa: S105  # the name under which helpers give one
HELPER_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user with a password, or an identity token."""

    user: str
    secret: str
    source: str
    """Where they are from, for errors. The secret is never in one."""

    @property
    def is_identity_token(self) -> bool:
        """Whether the secret is a token to get others by, and not a password."""
        return self.user == IDENTITY_TOKEN

    @property
    def basic(self) -> str:
        """Return the value of a header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()


def config_path() -> Path:
    """Return where Docker's configuration is."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def find_credentials(registry: str) -> Credentials | None:
    """Return who we are there, or None if nothing says.

    Raises:
        ConfigurationError: the configuration is broken, or its helper is.
    """
    path = config_path()
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read Docker's configuration {path}: {error}") from None
    if not isinstance(config, dict):
        raise ConfigurationError(f"Docker's configuration {path} should be a JSON object")
    keys = keys_of(registry)
    helper = next((name for key, name in (config.get("credHelpers") or {}).items() if key in keys), None)
    if helper or config.get("credsStore"):
        found = _ask_helper(str(helper or config["credsStore"]), keys[0])
        if found is not None:
            return found
    entries = config.get("auths") or {}
    return next((_entry(path, entries[key]) for key in keys if entries.get(key)), None)


def keys_of(registry: str) -> list[str]:
    """Return the names that a registry may have in the configuration, the usual one first."""
    if registry == DOCKER_HUB:
        return [DOCKER_HUB_KEY, "docker.io", "index.docker.io", "https://index.docker.io"]
    return [registry, f"https://{registry}", f"https://{registry}/", f"https://{registry}/v1/", f"http://{registry}"]


def _ask_helper(name: str, server: str) -> Credentials | None:
    program = f"docker-credential-{name}"
    try:
        ended = run(Command(arguments=[program, "get"], stdin=server.encode(), timeout_s=HELPER_S))
    except ConfigurationError:
        raise ConfigurationError(
            f"{config_path()} names the credential helper {program}, which is not installed"
        ) from None
    if ended.code:
        if "credentials not found" in ended.stdout + ended.stderr:
            return None
        raise ConfigurationError(f"the credential helper {program} failed for {server}: {ended.words}")
    try:
        said = json.loads(ended.stdout)
        return Credentials(user=said["Username"], secret=said["Secret"], source=program)
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"the credential helper {program} answers {server} with what is no answer") from None


def _entry(path: Path, entry: Mapping[str, Any]) -> Credentials | None:
    source = str(path)
    if token := entry.get("identitytoken"):
        return Credentials(user=IDENTITY_TOKEN, secret=str(token), source=source)
    if entry.get("username") and entry.get("password"):
        return Credentials(user=str(entry["username"]), secret=str(entry["password"]), source=source)
    if not entry.get("auth"):
        return None
    try:
        user, _, secret = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise ConfigurationError(f"{path} has an 'auth' that is not base64. Run docker login again") from None
    return Credentials(user=user, secret=secret.rstrip("\0"), source=source)
