"""A server of tokens for a registry, by Docker's token specification: what a registry in a cloud has in front of it."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from pki import Authority

SERVICE, ISSUER = "registry of the tests", "tokens of the tests"
LEEWAY_S = 60
"""How long docker-registry takes a token that has expired."""


class TokenServer:
    """Gives tokens to whom it knows, for what they may do; everybody may pull.

    Attributes:
        users: passwords by names.
        readers: users who may pull alone.
        lives_s: how long the registry will take the next tokens, one after the other; later ones last.
        scopes: what was asked for, one entry for each token.
    """

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder / "tokens")
        issued = authority.issue("tokens.example")
        key = load_pem_private_key(issued.key.read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        self._key = key
        self._chain = x509.load_pem_x509_certificates(issued.cert.read_bytes())
        self._bundle = authority.ca
        self.users = {"ada": "lovelace"}
        self.readers: set[str] = set()
        self.lives_s: list[float] = []
        self.scopes: list[list[str]] = []
        self.tokens: list[str] = []
        self.realm = ""

    @property
    def registry_settings(self) -> str:
        """What docker-registry is configured by."""
        return (
            "auth: {token: "
            + json.dumps(
                {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(self._bundle)}
            )
            + "}\n"
        )

    def answer(self, query: dict[str, list[str]], authorization: str) -> tuple[int, dict[str, str]]:
        """What is said to somebody who asks for a token."""
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if user and self.users.get(user) != password:
            return 401, {"details": "incorrect username or password"}
        assert query["service"] == [SERVICE]
        self.scopes.append(query.get("scope", []))
        access = []
        for scope in self.scopes[-1]:
            kind, name, actions = scope.split(":")
            may = ["pull"] if user in ("", *self.readers) else ["pull", "push"]
            access.append({"type": kind, "name": name, "actions": [one for one in actions.split(",") if one in may]})
        self.tokens.append(self._signed(user, access))
        return 200, {"token": self.tokens[-1]}

    def _signed(self, user: str, access: list[dict[str, object]]) -> str:
        life_s = self.lives_s.pop(0) - LEEWAY_S if self.lives_s else 300.0
        chain = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in self._chain]
        head = {"typ": "JWT", "alg": "ES256", "x5c": chain}
        now = time.time()
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, "exp": int(now + life_s), "nbf": int(now) - 120,
                  "iat": int(now), "jti": str(len(self.tokens)), "access": access}  # fmt: skip
        signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def running_tokens(folder: Path) -> Iterator[TokenServer]:
    """Run one on a free loopback port."""
    tokens = TokenServer(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, said = tokens.answer(parse_qs(urlsplit(self.path).query), self.headers.get("Authorization", ""))
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tokens.realm = f"http://127.0.0.1:{server.server_port}/token"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()
