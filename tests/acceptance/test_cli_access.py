"""Beyond loopback, as processes: TLS, tokens, their rotation, and `portcall doctor`."""

import json
from pathlib import Path

import pytest
from pki import Authority, replace

from .processes import HubProcess, Processes

UNKNOWN = "unknown-0123456789abcdef"


class Credentials:
    """All the files of a fleet, made by the commands that make them."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._folder = folder
        self._processes = processes
        self.authority = Authority(folder / "pki")
        self.server = self.authority.server()
        self.tokens = folder / "tokens"

    async def token(self, *roles: str, name: str) -> Path:
        """A new token in a file of its own, which the hub's file has too."""
        file = self._folder / f"{name}.token"
        said = [part for role in roles for part in ("--role", role)]
        done = await self._processes.run(
            "token", *said, "--name", name, "--append", str(self.tokens), "--out", str(file)
        )
        assert (done.code, done.stdout, done.stderr) == (0, "", "")
        return file

    def of_hub(self) -> tuple[str, ...]:
        """The options of the hub."""
        files = (("--tls-cert", self.server.cert), ("--tls-key", self.server.key), ("--token-file", self.tokens))
        return tuple(str(part) for pair in files for part in pair)

    def of_others(self, token: Path) -> tuple[str, ...]:
        """The options of whoever dials."""
        return ("--tls-ca", str(self.authority.ca), "--token-file", str(token))


@pytest.fixture
def credentials(tmp_path: Path, processes: Processes) -> Credentials:
    return Credentials(tmp_path, processes)


def nearby(hub: HubProcess) -> HubProcess:
    """A hub that listens everywhere, by the name that its certificate has."""
    hub.address = f"localhost:{hub.address.rpartition(':')[2]}"
    return hub


def secrets(credentials: Credentials) -> list[str]:
    return [line.split()[1] for line in credentials.tokens.read_text().splitlines()]


async def test_fleet_beyond_loopback(processes: Processes, credentials: Credentials) -> None:
    worker_token = await credentials.token("worker", name="cranes")
    client_token = await credentials.token("client", name="desk")
    hub = nearby(await processes.hub(*credentials.of_hub(), listen="0.0.0.0:0"))
    worker = await processes.worker("cargo", hub, "--name", "crane-1", *credentials.of_others(worker_token))
    listed = await processes.run("fleet", "ls", "--hub", hub.address, *credentials.of_others(client_token))
    assert (listed.code, listed.stderr) == (0, "")
    assert "crane-1" in listed.stdout

    refused = await processes.run("fleet", "ls", "--hub", hub.address, *credentials.of_others(worker_token))
    assert refused.code == 2
    assert refused.stderr.startswith(f"portcall: error: the hub at {hub.address} refuses us (PERMISSION_DENIED: ")
    bare = await processes.run("fleet", "ls", "--hub", hub.address, "--tls-ca", str(credentials.authority.ca))
    assert bare.code == 2
    assert "UNAUTHENTICATED" in bare.stderr
    assert "Set PORTCALL_TOKEN" in bare.stderr
    plain = await processes.run("fleet", "ls", "--hub", hub.address)
    assert plain.code == 2
    assert "use it here too: --tls-ca FILE or --tls" in plain.stderr

    listed = await processes.run("fleet", "ls", "--hub", hub.address, *credentials.of_others(client_token))
    assert "Refused since the hub started: 1 UNAUTHENTICATED, 1 PERMISSION_DENIED. Its log says whom" in listed.stdout
    said = [hub, worker, listed, refused, bare, plain]
    assert not [secret for secret in secrets(credentials) for one in said if secret in one.stdout + one.stderr]


async def test_credentials_of_the_environment(processes: Processes, credentials: Credentials) -> None:
    token = await credentials.token(name="all")
    secret = token.read_text().strip()
    hub = await processes.start(
        "hub",
        "--exit-with-stdin",
        PORTCALL_HUB_LISTEN="0.0.0.0:0",
        PORTCALL_HUB_TLS_CERT=str(credentials.server.cert),
        PORTCALL_HUB_TLS_KEY=str(credentials.server.key),
        PORTCALL_TOKEN=secret,
    )
    port = (await hub.line(r"Hub listens on .*:(\d+)$"))[1]
    await hub.line(f" --hub .*:{port} --tls-ca FILE --token-file FILE$")
    environment = {
        "PORTCALL_HUB": f"localhost:{port}",
        "PORTCALL_TLS_CA": str(credentials.authority.ca),
        "PORTCALL_TOKEN": secret,
    }
    worker = await processes.start("worker", "cargo", "--exit-with-stdin", **environment)
    await worker.line("Attached to the hub")
    listed = await processes.run("fleet", "ls", "--json", **environment)
    assert len(json.loads(listed.stdout)["workers"]) == 1


async def test_worker_whose_token_is_taken_away_says_so_and_dials_on(
    processes: Processes, credentials: Credentials
) -> None:
    token = await credentials.token("worker", name="cranes")
    await credentials.token("client", name="desk")
    hub = nearby(await processes.hub(*credentials.of_hub(), listen="0.0.0.0:0"))
    worker = await processes.worker("cargo", hub, *credentials.of_others(token))
    kept = credentials.tokens.read_text()
    credentials.tokens.write_text(kept.splitlines()[1] + "\n")
    await hub.line("The token 'cranes' is no longer good for .*: ended its link")
    await worker.line("the token that the link came with is no longer good for it")
    await worker.line("refuses us .UNAUTHENTICATED: this hub does not know the token.")
    credentials.tokens.write_text(kept)
    await hub.line("Took up .*tokens: 2 tokens, before 1")
    await worker.line("Attached to the hub")
    replace(credentials.server, credentials.authority.issue())
    examined = await processes.run("doctor", "--hub", hub.address, *credentials.of_others(token), "--role", "worker")
    assert examined.code == 0
    await hub.line("Took up a new certificate from")
    assert not [secret for secret in secrets(credentials) if secret in hub.stderr + worker.stderr + examined.stdout]


async def test_doctor_says_what_is_wrong_line_by_line(processes: Processes, credentials: Credentials) -> None:
    token = await credentials.token("client", name="desk")
    hub = nearby(await processes.hub(*credentials.of_hub(), listen="0.0.0.0:0"))
    fine = await processes.run("doctor", "--hub", hub.address, *credentials.of_others(token), "--idle", "0.01")
    assert (fine.code, fine.stderr) == (0, "")
    assert [line.split()[:2] for line in fine.stdout.splitlines() if not line.startswith(" ")] == [
        ["ok", "settings"],
        ["ok", "name"],
        ["ok", "port"],
        ["ok", "tls"],
        ["ok", "http/2"],
        ["note", "worker"],
        ["ok", "client"],
        ["ok", "link"],
        ["ok", "round"],
        ["ok", "idle"],
    ]
    plain = await processes.run("doctor", "--hub", hub.address, "--token-file", str(token))
    assert plain.code == 2
    last, remedy = plain.stdout.splitlines()[-2:]
    assert last == "failed  http/2      what answers there speaks TLS, and was spoken to without"
    assert remedy == f"{'':20}Use TLS: --tls-ca FILE with the hub's authority, or --tls if the system trusts it"


async def test_doctor_says_it_to_programs(processes: Processes, tmp_path: Path) -> None:
    done = await processes.run("doctor", "--json", "--hub", f"unix:{tmp_path}/no.sock", "--role", "client")
    assert done.code == 1
    said = json.loads(done.stdout)
    assert said["exit_code"] == 1
    settings, last = said["findings"]
    assert settings["facts"] == {"hub": f"unix:{tmp_path}/no.sock", "tls": False, "token": ""}
    assert (last["step"], last["outcome"]) == ("socket", "failed")


async def test_doctor_begins_with_the_settings(processes: Processes, tmp_path: Path) -> None:
    done = await processes.run("doctor", "--hub", "hub.example:70", PORTCALL_TOKEN=UNKNOWN)
    assert done.code == 2
    assert done.stdout.startswith(
        "failed  settings    will not send the token to hub.example:70 in clear. Add --tls-ca"
    )
    assert UNKNOWN not in done.stdout
    done = await processes.run("doctor", "--token-file", f"{tmp_path}/nope")
    assert f"failed  settings    cannot read the token file {tmp_path}/nope: No such file" in done.stdout


MISTAKES = {
    "hub --tls-cert hub.pem": "--tls-key is missing: a hub that uses TLS needs a certificate and its key",
    "hub --tls-ca ca.pem": "--tls-cert is missing: a hub that uses TLS needs a certificate and its key",
    "hub --tls-cert nope --tls-key nope": "cannot read the certificate nope: No such file or directory",
    "hub --token-file nope": "cannot read the token file nope: No such file or directory",
    "hub --token-file empty": "empty has no token; 'portcall token' prints a line for it",
    "hub --listen 0.0.0.0:0 --token-file tokens": (
        "will not listen on '0.0.0.0:0': it can be reached from beyond this machine. Add --tls-cert and --tls-key, so"
        " that nobody can listen in; or listen on 127.0.0.1:0; or add --insecure if something else guards that network"
    ),
    "hub --listen unix:/x --tls-cert a --tls-key b": (
        "unix:/x needs no TLS, since nobody can listen in. Leave --tls-cert away"
    ),
    "fleet ls --tls-cert a": "TLS has a cert without its key; give both (--tls-cert and --tls-key)",
    "fleet ls --tls-ca empty": "empty has no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
    "fleet ls --token-file tokens": (
        "tokens should hold one token and nothing else; lines with roles and names are for the hub's file"
    ),
    "fleet ls --hub a.example:1 --token-file one": (
        "will not send the token to a.example:1 in clear. Add --tls-ca FILE, or --tls if the system trusts the hub's"
        " certificate (in a program: tls=), or --insecure (insecure=True) if something else guards the network"
    ),
}


@pytest.mark.parametrize("command", MISTAKES)
async def test_mistake_is_one_line(processes: Processes, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "one").write_text(UNKNOWN)
    (tmp_path / "tokens").write_text(f"worker {UNKNOWN} crane\n")
    done = await processes.run(*command.split(), folder=tmp_path)
    assert done.stderr == f"portcall: error: {MISTAKES[command]}\n"
    assert (done.code, done.stdout) == (2, "")


async def test_token_of_the_environment_that_cannot_be_one(processes: Processes) -> None:
    for command in ("hub", "fleet ls"):
        done = await processes.run(*command.split(), PORTCALL_TOKEN="not a secret")
        assert done.stderr.startswith("portcall: error: PORTCALL_TOKEN is not a token: only letters, digits")
        assert (done.code, done.stderr.count("\n")) == (2, 1)


async def test_unix_socket(processes: Processes, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/hub.sock"
    hub = await processes.hub(listen=address)
    await processes.worker("cargo", hub)
    listed = await processes.run("fleet", "ls", "--hub", address)
    assert "acceptance.Cargo" in listed.stdout
    second = await processes.run("hub", "--listen", address)
    assert second.code == 2
    assert "another process listens there" in second.stderr
    hub.kill()
    await hub.wait()
    again = await processes.hub(listen=address)
    await processes.worker("cargo", again)
