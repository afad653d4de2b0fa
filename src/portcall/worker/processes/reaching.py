"""How the app says that the hub is reached, on its way from a process to the supervisor, which dials."""

from pathlib import Path

from portcall.protos.portcall.v1 import process_pb2
from portcall.protos.portcall.v1.process_pb2 import ProcessHello
from portcall.wire.access import Tls
from portcall.worker.server import Worker


def tell(worker: Worker, hello: ProcessHello) -> None:
    """Put into a hello what an app's worker says. Files are named in full, since they are read elsewhere."""
    if worker.hub is not None:
        hello.hub = worker.hub
    if isinstance(worker.token, str):
        hello.token_itself = worker.token
    elif worker.token is not None:
        hello.token_file = str(Path.cwd() / worker.token)
    if worker.tls is not None:
        hello.tls.CopyFrom(_tls_told(worker.tls))
    if worker.insecure is not None:
        hello.insecure = worker.insecure


def take(worker: Worker, hello: ProcessHello) -> None:
    """Let a worker reach the hub as the app says, where nobody has told it otherwise."""
    if worker.hub is None and hello.HasField("hub"):
        worker.hub = hello.hub
    if worker.token is None:
        match hello.WhichOneof("token"):
            case "token_itself":
                worker.token = hello.token_itself
            case "token_file":
                worker.token = Path(hello.token_file)
    if worker.tls is None and hello.HasField("tls"):
        worker.tls = _tls_taken(hello.tls)
    if worker.insecure is None and hello.HasField("insecure"):
        worker.insecure = hello.insecure


def _tls_told(tls: Tls | bool) -> process_pb2.Tls:
    if isinstance(tls, bool):
        return process_pb2.Tls(is_used=tls)
    told = process_pb2.Tls(is_used=True)
    for name in ("ca", "cert", "key"):
        path = getattr(tls, name)
        if path is not None:
            setattr(told, name, str(Path.cwd() / path))
    return told


def _tls_taken(told: process_pb2.Tls) -> Tls | bool:
    if not told.is_used:
        return False
    ca, cert, key = (getattr(told, name) if told.HasField(name) else None for name in ("ca", "cert", "key"))
    return Tls(ca=ca, cert=cert, key=key)
