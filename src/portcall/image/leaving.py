"""What is left out of the application's layer: what nobody needs there, and what nobody may see there."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

SECRET_HEAD_BYTES = 4_096
"""How much of a file is looked at for a key."""

_NEEDLESS = (
    ".git",
    ".hg",
    ".svn",
    ".bzr",
    ".venv",
    "venv",
    "__pycache__",
    "*.pyc",
    "*.pyo",
    "*.egg-info",
    "*.whl",
    "node_modules",
    ".tox",
    ".nox",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".coverage",
    ".ipynb_checkpoints",
    ".DS_Store",
    ".idea",
    ".vscode",
    "*.swp",
    "*~",
)
_NEEDLESS_AT_ROOT = ("build", "dist")

_SECRET = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".npmrc",
    ".yarnrc",
    ".git-credentials",
    ".htpasswd",
    ".pgpass",
    ".my.cnf",
    ".boto",
    ".s3cfg",
    "pip.conf",
    "credentials",
    "credentials.json",
    "*credentials*.json",
    "service-account*.json",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "*.token",
    "tokens",
    "secrets.*",
    "*.tfstate",
    "kubeconfig",
)
_SECRET_FOLDERS = {".ssh", ".aws", ".gnupg", ".docker", ".kube", ".azure"}
_NO_SECRET = ("*.example", "*.sample", "*.template", "*.dist", "*.py", "*.pyi")
_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")
_TOKEN_LINE = re.compile(rb"^(worker|client|worker,client|client,worker) [A-Za-z0-9._~+/-]{16,}", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that is not in the image though one might think so, and why."""

    path: str
    reason: str


def is_needless(path: str) -> bool:
    """Whether a file is what tools leave behind."""
    parts = PurePosixPath(path).parts
    return parts[0] in _NEEDLESS_AT_ROOT or any(_matches(part, _NEEDLESS) for part in parts)


def secret_reason(path: str, head: bytes) -> str:
    """Say why a file looks like a secret, by its name and how it begins; "" if it does not."""
    parts = PurePosixPath(path).parts
    if _matches(parts[-1], _NO_SECRET):
        return "it holds a private key" if _KEY.search(head) and not parts[-1].endswith((".py", ".pyi")) else ""
    if _matches(parts[-1], _SECRET):
        return "its name is that of a secret"
    if folder := next((part for part in parts[:-1] if part in _SECRET_FOLDERS), ""):
        return f"{folder} holds secrets"
    if _KEY.search(head):
        return "it holds a private key"
    return "it holds tokens of a hub" if _TOKEN_LINE.search(head) else ""


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


# --- .dockerignore ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    is_exception: bool


class DockerIgnore:
    """The rules of a `.dockerignore`, as Docker documents them: the last one that fits a path decides."""

    def __init__(self, text: str) -> None:
        self._rules = list(_rules(text.splitlines()))

    def is_ignored(self, path: str) -> bool:
        """Whether a file is left out; so is what lies in a folder that is."""
        parts = PurePosixPath(path).parts
        names = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        ignored = False
        for rule in self._rules:
            if any(rule.pattern.fullmatch(name) for name in names):
                ignored = not rule.is_exception
        return ignored

    def is_included_by_name(self, path: str) -> bool:
        """Whether an exception names just this file: its owner has thought of it."""
        return any(rule.is_exception and rule.pattern.fullmatch(path) for rule in self._rules)


def _rules(lines: Sequence[str]) -> Iterable[_Rule]:
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        is_exception = text.startswith("!")
        path = text.removeprefix("!").strip().strip("/").removeprefix("./")
        if path and path != ".":
            yield _Rule(re.compile(_expression(path)), is_exception)


def _expression(pattern: str) -> str:
    made, at = [], 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            made.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            made.append(".*")
            at += 2
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\")
            made.append(f"[{'^' + inside[1:] if inside[:1] in '!^' else inside}]")
            at = end + 1
        else:
            made.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at])))
            at += 1
    return "".join(made)
