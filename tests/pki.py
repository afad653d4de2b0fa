"""An authority and its certificates, in files as users have them."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import trustme

from portcall.hub import ServerTls
from portcall.wire.access import Tls

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates; each goes into files of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self._count = 0
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))

    def issue(self, *names: str, days_left: int = 90) -> Issued:
        """Make out a certificate; by default to this machine. With a negative number of days it has expired."""
        self._count += 1
        now = dt.datetime.now(dt.UTC)
        made = self._authority.issue_cert(
            *(names or ("localhost", "127.0.0.1", "::1")), not_before=now - 9 * DAY, not_after=now + days_left * DAY
        )
        cert, key = self._folder / f"{self._count}.pem", self._folder / f"{self._count}.key"
        cert.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        key.touch(mode=0o600)
        key.write_bytes(made.private_key_pem.bytes())
        return Issued(cert=cert, key=key)

    def server(self, *names: str, ca: Path | None = None, days_left: int = 90) -> ServerTls:
        """What a hub needs; with `ca` it asks for certificates."""
        issued = self.issue(*names, days_left=days_left)
        return ServerTls(cert=issued.cert, key=issued.key, ca=ca)

    def client(self, *, has_own: bool = False) -> Tls:
        """What those who dial need."""
        if not has_own:
            return Tls(ca=self.ca)
        issued = self.issue("client.example")
        return Tls(ca=self.ca, cert=issued.cert, key=issued.key)


def replace(old: Issued | ServerTls, new: Issued | ServerTls) -> None:
    """Put a certificate into the files of another one, first the key, as a renewal does it."""
    new.key.replace(old.key)
    new.cert.replace(old.cert)
