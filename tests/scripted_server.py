"""A small HTTP server that answers by a table, and remembers who asked what with which headers."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pki import Issued


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its method and path without the query, and what it had to show."""

    line: str
    authorization: str


class ScriptedServer:
    """Answers by what `says` holds, with 404 to everything else.

    Attributes:
        says: answers by "METHOD /path".
        challenge: what those hear who show nothing; "" if that is nobody's concern.
        asked: what has come, in order.
    """

    def __init__(self) -> None:
        self.address = ""
        self.says: dict[str, Said] = {}
        self.challenge = ""
        self.asked: list[Asked] = []

    def answer(self, line: str, authorization: str) -> Said:
        """What is said to a request."""
        self.asked.append(Asked(line, authorization))
        if self.challenge and not authorization:
            return Said(status=401, headers={"WWW-Authenticate": self.challenge})
        return self.says.get(line, Said(status=404))


@contextmanager
def running_script(tls: Issued | None = None) -> Iterator[ScriptedServer]:
    """Run one on a free loopback port."""
    script = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            line = f"{self.command} {self.path.partition('?')[0]}"
            said = script.answer(line, self.headers.get("Authorization", ""))
            self.send_response(said.status)
            for name, value in {**said.headers, "Content-Length": str(len(said.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        # the names that the handler looks for
        do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        script.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
