"""One repository of one registry over HTTP: who we are, how often something is tried, and what its refusals mean."""

import json
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

import urllib3

from portcall.errors import ConfigurationError, PortcallError
from portcall.image.errors import ImageError
from portcall.image.reference import DOCKER_HUB, Reference
from portcall.image.registry.credentials import Credentials, find_credentials
from portcall.image.registry.locations import is_same_origin, location_from
from portcall.image.registry.pools import Pools, TlsRefusedError, answered_from, is_loopback, root_of

DOCKER_HUB_HOST: Final = "registry-1.docker.io"
TRIES_MAX: Final = 5
"""How often a request is made before it is given up."""

WAIT_MAX_S: Final = 30.0
"""Longest wait between two tries, whatever the registry asks for."""

ANSWER_BYTES_MAX: Final = 4 << 20
"""Most that a registry's answer may have, a manifest included; blobs are not meant."""

_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')

PULL: Final = "pull"
PULL_AND_PUSH: Final = "pull,push"


class DroppedError(Exception):
    """The connection ended before the answer had come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a registry answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """Return what the body says, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def words(self) -> str:
        """Return the registry's own explanation."""
        said = self.json()
        errors = said.get("errors") if isinstance(said, dict) else None
        if isinstance(errors, list) and errors and isinstance(errors[0], dict):
            return f"{errors[0].get('code', '')} {errors[0].get('message', '')}".strip()
        return self.body[:200].decode(errors="replace").strip()


class Connection:
    """A repository, asked in the name of whom Docker's configuration says.

    Args:
        reference: which repository.
        actions: what shall be done there, PULL or PULL_AND_PUSH.
        insecure: registries that need not speak HTTPS; those on loopback never need to.
        wait: sleeps; for tests.

    Several threads may ask at once.
    """

    def __init__(
        self,
        reference: Reference,
        actions: str,
        *,
        insecure: frozenset[str] = frozenset(),
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.registry, self.repository = reference.registry, reference.repository
        self._host = DOCKER_HUB_HOST if reference.registry == DOCKER_HUB else reference.registry
        self._may_be_plain = reference.registry in insecure or is_loopback(reference.registry)
        self._actions = actions
        self._is_given_up = threading.Event()
        self._wait = wait or self._is_given_up.wait
        self._pools = Pools(reference.registry, is_checked=reference.registry not in insecure)
        self._base = ""
        self._credentials: Credentials | None = None
        self._authorization = ""
        self._lock = threading.Lock()
        self._sources: tuple[str, ...] = ()

    def give_up(self) -> None:
        """Have all that is under way, in whichever thread, end with an ImageError, and soon."""
        self._is_given_up.set()

    def check(self) -> None:
        """Return if there is a point in going on.

        Raises:
            ImageError: all of it was given up.
        """
        if self._is_given_up.is_set():
            raise ImageError(f"what was asked of {self.registry} has been given up")

    def close(self) -> None:
        """End the connections. Idempotent."""
        self._pools.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def also_read(self, repository: str) -> None:
        """Ask for leave to read another repository, too, for blobs to be mounted from there."""
        if repository not in (*self._sources, self.repository):
            self._sources = (*self._sources, repository)
            if not self._authorization.startswith("Basic"):
                self._authorization = ""

    def url(self, path: str) -> str:
        """Return the URL of something of this repository."""
        return f"{self.base()}/v2/{self.repository}/{path}"

    def base(self) -> str:
        """Find out whether the registry speaks HTTPS, once; return how its URLs begin."""
        with self._lock:
            self._base = self._base or self._find_base()
        return self._base

    def is_ours(self, url: str) -> bool:
        """Whether a URL is of the registry itself, which alone may see our credentials."""
        return is_same_origin(url, self.base())

    def location_of(self, answer: Answer) -> str:
        """Return the URL that an answer points to.

        Raises:
            ImageError: nothing is sent there.
        """
        said = answer.headers.get("Location", "")
        return location_from(answer.url, said, base=self.base(), may_be_plain=self._may_be_plain)

    def ask(self, method: str, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Make a small request, several times if need be.

        Raises:
            ImageError: the registry cannot be reached, or does not work.
            ConfigurationError: it knows nobody of this name.
        """
        for tries in range(1, TRIES_MAX + 1):
            try:
                answer = self.ask_once(method, url, headers=headers)
            except DroppedError as error:
                if tries == TRIES_MAX:
                    raise self.unreachable(error) from None
                self.wait_before(tries + 1)
                continue
            if answer.status not in _AGAIN or tries == TRIES_MAX:
                return answer
            self.wait_before(tries + 1, answer)
        raise AssertionError

    def ask_once(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """Make a request once, with leave; only a refused token is got anew.

        Raises:
            DroppedError: no answer came.
        """
        response = self.open(method, url, headers=headers, body=body)
        try:
            content = b"" if method == "HEAD" else response.read(ANSWER_BYTES_MAX + 1)
        except urllib3.exceptions.HTTPError as error:
            raise DroppedError(_plainly(error)) from None
        finally:
            response.release_conn()
        if len(content) > ANSWER_BYTES_MAX:
            raise ImageError(f"{self.registry} answers with more than {ANSWER_BYTES_MAX} bytes, which no image needs")
        return Answer(status=response.status, headers=response.headers, body=content, url=url)

    def open(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> urllib3.BaseHTTPResponse:
        """Begin a request; the caller reads the body.

        Raises:
            DroppedError: no answer came.
        """
        had = self._authorization
        response = self._request(method, url, headers, body)
        if response.status != HTTPStatus.UNAUTHORIZED or not self.is_ours(answered_from(url, response)):
            return response
        response.drain_conn()
        with self._lock:
            if self._authorization == had:  # else another thread has it anew already
                self._authorize(response.headers.get("WWW-Authenticate", ""))
        if hasattr(body, "read"):
            raise DroppedError("the registry wanted another token")  # what was read of the body is gone
        return self._request(method, url, headers, body)

    def wait_before(self, try_: int, answer: Answer | None = None) -> None:
        """Wait as long as one should before this try."""
        asked = answer.headers.get("Retry-After", "") if answer is not None else ""
        backoff_s = 0.5 * 2 ** (try_ - 2) * (0.5 + random.random())
        self._wait(min(WAIT_MAX_S, float(asked) if asked.isdigit() else backoff_s))

    def unreachable(self, error: Exception) -> ImageError:
        """Say that a registry does not answer."""
        return ImageError(
            f"the registry {self.registry} cannot be reached: {error}. Tried {TRIES_MAX} times; run this again,"
            " it goes on where it was"
        )

    def refused(self, answer: Answer, what: str) -> PortcallError:
        """Say what a registry's refusal means."""
        who = self._who()
        match answer.status:
            case HTTPStatus.UNAUTHORIZED if self._authorization.startswith("Basic"):
                return self._unknown(answer.words)
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                return ConfigurationError(
                    f"{self.registry} does not let {who} {what} ({answer.words or answer.status})."
                    f" Log in:  docker login {self.registry}"
                )
            case HTTPStatus.NOT_FOUND:
                return ConfigurationError(f"{self.registry} has nothing there: cannot {what} ({answer.words})")
            case HTTPStatus.TOO_MANY_REQUESTS:
                return ImageError(f"{self.registry} has had too many requests of {who}: cannot {what}. Try again later")
            case status:
                return ImageError(f"{self.registry} answers {status}: cannot {what} ({answer.words})")

    def _who(self) -> str:
        found = self._credentials
        return f"{found.user} (from {found.source})" if found is not None else "nobody (no credentials are known)"

    def _request(self, method: str, url: str, headers: Mapping[str, str] | None, body: Any) -> urllib3.BaseHTTPResponse:
        self.check()
        leave = {"Authorization": self._authorization} if self._authorization and self.is_ours(url) else {}
        try:
            return self._pools.request(
                method,
                url,
                headers={**leave, **(headers or {})},
                body=body,
                is_following=method in ("GET", "HEAD"),
                is_streamed=True,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DroppedError(_plainly(error)) from None

    def _find_base(self) -> str:
        plain, encrypted = f"http://{self._host}", f"https://{self._host}"
        if not self._may_be_plain:
            return encrypted
        if is_loopback(self._host):  # the usual one there is plain, and nobody listens in
            return plain if self._speaks_http(plain) else encrypted
        try:
            self._pools.request("GET", f"{encrypted}/v2/")
        except (urllib3.exceptions.HTTPError, TlsRefusedError) as error:
            if isinstance(error, TlsRefusedError) and not error.is_plain:
                raise
            return plain
        return encrypted

    def _speaks_http(self, base: str) -> bool:
        try:
            answer = self._pools.request("GET", f"{base}/v2/")
        except (urllib3.exceptions.HTTPError, OSError):
            return True  # nobody is there, which is told when something is asked
        return answer.status != HTTPStatus.BAD_REQUEST  # how servers with TLS answer

    # --- leave ------------------------------------------------------------------------------------------------------

    def _authorize(self, challenge: str) -> None:
        """Get what the registry asks for by its challenge (RFC 6750; Docker's token specification).

        Raises:
            ConfigurationError: it does not know us.
        """
        self._credentials = self._credentials or find_credentials(self.registry)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            if self._credentials is None or self._authorization:
                raise self._unknown("the password is wrong" if self._credentials else "")
            self._authorization = self._credentials.basic
        elif scheme.lower() == "bearer":
            self._authorization = f"Bearer {self._token(dict(_PARAMETER.findall(rest)))}"
        else:
            raise ImageError(f"{self.registry} asks for credentials in a way that nobody knows: {challenge[:100]!r}")

    def _token(self, asked: Mapping[str, str]) -> str:
        realm = asked.get("realm", "")
        if urlsplit(realm).scheme != "https" and not self._may_be_plain:
            raise ImageError(f"{self.registry} wants credentials sent unencrypted, to {realm!r}")
        scopes = [f"repository:{self.repository}:{self._actions}"]
        scopes += [f"repository:{source}:{PULL}" for source in self._sources]
        answer = self._ask_for_token(realm, asked.get("service", ""), scopes)
        said = answer.json()
        token = (said.get("token") or said.get("access_token")) if isinstance(said, dict) else None
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._unknown(answer.words)
        if answer.status != HTTPStatus.OK or not token:
            raise ImageError(f"{self.registry} gives no token ({answer.status} {answer.words}). Try again later")
        return str(token)

    def _ask_for_token(self, realm: str, service: str, scopes: list[str]) -> Answer:
        fields = [("service", service), *(("scope", scope) for scope in scopes)]
        found = self._credentials
        try:
            if found is not None and found.is_identity_token:
                grant = {"grant_type": "refresh_token", "refresh_token": found.secret, "client_id": "portcall"}
                body = urlencode({**grant, "service": service, "scope": " ".join(scopes)})
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                response = self._pools.request("POST", realm, headers=kind, body=body)
            else:
                basic = {"Authorization": found.basic} if found is not None else {}
                url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(fields)}"
                response = self._pools.request("GET", url, headers=basic, is_following=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise DroppedError(_plainly(error)) from None
        return Answer(status=response.status, headers=response.headers, body=response.data, url=realm)

    def _unknown(self, words: str) -> ConfigurationError:
        said = f" ({words})" if words else ""
        return ConfigurationError(
            f"{self.registry} does not know {self._who()}{said}. Log in:  docker login {self.registry}"
        )


def _plainly(error: Exception) -> str:
    """Say in a few words what broke."""
    cause = root_of(error)
    return re.sub(r"^.*?: (?=\[|Failed|Connection)", "", str(cause))[:300] or type(cause).__name__
