"""`portcall hub`."""

import asyncio
import json
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import click

from portcall._version import __version__
from portcall.cli.backup import backup
from portcall.cli.check import check
from portcall.cli.collector import tune_collector
from portcall.cli.ending import stop_signals
from portcall.cli.exits import FailedError
from portcall.cli.health import answering_health
from portcall.cli.options import (
    as_json,
    count,
    exit_with_stdin,
    file_path,
    log_level,
    seconds,
    setting,
    size,
    span,
    start_logging,
)
from portcall.core.jobs.limits import JobLimits
from portcall.core.limits import CallLimits
from portcall.errors import ConfigurationError
from portcall.hub import Hub, HubConfig, ServerTls
from portcall.wire.access import TOKEN_VARIABLE
from portcall.wire.limits import Liveness

logger = logging.getLogger("portcall.cli")

DRAIN_S_DEFAULT = 10.0

_CONFIG = HubConfig()


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[backup FILE | check FILE]",
    epilog="""\b
Examples:
  portcall hub                                     this machine only
  portcall hub --store jobs.db                     keeps jobs in a file
  portcall hub --listen unix:/run/portcall.sock    programs of this user alone
  portcall hub --listen 0.0.0.0:7070 --insecure    a network that is guarded
  portcall hub --listen 0.0.0.0:7070 --tls-cert hub.pem --tls-key hub.key
      --token-file tokens                          any network
  portcall hub backup copy.db                      a copy of its jobs
  portcall hub check copy.db                       is the file sound?

Certificates and tokens are taken from their files anew when these change. Instead of --token-file, PORTCALL_TOKEN may
hold one token that is good for workers and clients. docs/security.md shows how to make all of it.

The first SIGTERM or Ctrl-C drains: no new calls are taken, and those that run have --drain seconds to finish. The
second one stops at once.

\b
With --json the hub prints one line to stdout, when it is ready:
  {"event": "ready", "address": "HOST:PORT", "pid": N, "version": "X.Y.Z"}""",
)
@setting(
    "--listen",
    "Where to listen; port 0 takes any free one. Also unix:PATH.",
    metavar="HOST:PORT",
    default=_CONFIG.listen,
    variable="PORTCALL_HUB_LISTEN",
)
@setting(
    "--tls-cert",
    "Certificate that the hub shows, with those between it and its authority.",
    type=file_path,
    metavar="FILE",
    shown="no encryption",
    variable="PORTCALL_HUB_TLS_CERT",
)
@setting(
    "--tls-key",
    "Key of that certificate.",
    type=file_path,
    metavar="FILE",
    shown="none",
    variable="PORTCALL_HUB_TLS_KEY",
)
@setting(
    "--tls-ca",
    "Authorities of the certificates that workers and clients then have to show as well.",
    type=file_path,
    metavar="FILE",
    shown="they need none",
    variable="PORTCALL_HUB_TLS_CA",
)
@setting(
    "--token-file",
    "Tokens that workers and clients have to show; a line for each: ROLES TOKEN [NAME]. 'portcall token' makes one.",
    type=file_path,
    metavar="FILE",
    shown="they need none",
    variable="PORTCALL_HUB_TOKEN_FILE",
)
@setting(
    "--store",
    "File to keep jobs in, on a local disk; made if it is not there.",
    type=file_path,
    metavar="FILE",
    shown="no jobs",
    variable="PORTCALL_HUB_STORE",
)
@setting(
    "--adopt",
    "After a start, how long workers may take to come back with the jobs that they ran; these then run again.",
    type=seconds,
    metavar="S",
    default=_CONFIG.job_limits.adopt_s,
    variable="PORTCALL_HUB_ADOPT",
)
@setting(
    "--jobs-kept-max",
    "Most ended jobs that are kept; more go before their time, the first to go first.",
    type=count,
    metavar="N",
    default=_CONFIG.job_limits.ended_max,
    variable="PORTCALL_HUB_JOBS_KEPT_MAX",
)
@setting(
    "--job-share",
    "While calls wait for slots, jobs have one slot of so many, and at least one.",
    type=count,
    metavar="N",
    default=_CONFIG.limits.job_share,
    variable="PORTCALL_HUB_JOB_SHARE",
)
@setting(
    "--insecure",
    "Listen beyond this machine without TLS, or without tokens.",
    is_flag=True,
    default=False,
    variable="PORTCALL_HUB_INSECURE",
)
@setting(
    "--drain",
    "When told to stop, how long the calls that run may take to finish.",
    type=seconds,
    metavar="S",
    default=DRAIN_S_DEFAULT,
    variable="PORTCALL_HUB_DRAIN",
)
@setting(
    "--grace",
    "How long a worker or client that lost its connection may stay away and still go on where it was.",
    type=seconds,
    metavar="S",
    default=_CONFIG.grace_s,
    variable="PORTCALL_HUB_GRACE",
)
@setting(
    "--worker-wait",
    "How long a call waits for a worker when all workers of its service are gone.",
    type=seconds,
    metavar="S",
    default=_CONFIG.limits.worker_wait_max_s,
    variable="PORTCALL_HUB_WORKER_WAIT",
)
@setting(
    "--queue-max",
    "Most calls that wait for a free slot; the hub refuses more with RESOURCE_EXHAUSTED.",
    type=count,
    metavar="N",
    default=_CONFIG.limits.calls_waiting_max,
    variable="PORTCALL_HUB_QUEUE_MAX",
)
@setting(
    "--queue-bytes-max",
    "Most bytes that calls which wait may hold together.",
    type=size,
    metavar="SIZE",
    default=_CONFIG.limits.bytes_waiting_max,
    shown=f"{_CONFIG.limits.bytes_waiting_max >> 20} MiB",
    variable="PORTCALL_HUB_QUEUE_BYTES_MAX",
)
@setting(
    "--message-bytes-max",
    "Largest message of a call, either way.",
    type=size,
    metavar="SIZE",
    default=_CONFIG.message_bytes_max,
    shown=f"{_CONFIG.message_bytes_max >> 20} MiB",
    variable="PORTCALL_HUB_MESSAGE_BYTES_MAX",
)
@setting(
    "--streams-max",
    "Most calls of one native gRPC connection at once; more of them wait at their client.",
    type=count,
    metavar="N",
    default=_CONFIG.streams_max,
    variable="PORTCALL_HUB_STREAMS_MAX",
)
@setting(
    "--window-bytes",
    "What a native call may send ahead of a slow worker, and a link in one round trip.",
    type=size,
    metavar="SIZE",
    default=_CONFIG.window_bytes,
    shown=f"{_CONFIG.window_bytes >> 20} MiB",
    variable="PORTCALL_HUB_WINDOW_BYTES",
)
@setting(
    "--links-max",
    "Most workers and clients at once.",
    type=count,
    metavar="N",
    default=_CONFIG.links_max,
    variable="PORTCALL_HUB_LINKS_MAX",
)
@setting(
    "--link-bytes-max",
    "Most bytes kept for a worker or client that does not read; past it, its link is ended.",
    type=size,
    metavar="SIZE",
    default=_CONFIG.link_bytes_max,
    shown=f"{_CONFIG.link_bytes_max >> 20} MiB",
    variable="PORTCALL_HUB_LINK_BYTES_MAX",
)
@setting(
    "--ping-interval",
    "How often a silent link is asked whether it lives; the fourth time without an answer it counts as lost.",
    type=span,
    metavar="S",
    default=_CONFIG.liveness.ping_interval_s,
    variable="PORTCALL_HUB_PING_INTERVAL",
)
@log_level("PORTCALL_HUB_LOG_LEVEL")
@as_json
@exit_with_stdin
@click.pass_context
def hub(
    ctx: click.Context,
    *,
    listen: str,
    insecure: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
    token_file: Path | None,
    store: Path | None,
    adopt: float,
    jobs_kept_max: int,
    job_share: int,
    drain: float,
    grace: float,
    worker_wait: float,
    queue_max: int,
    queue_bytes_max: int,
    message_bytes_max: int,
    streams_max: int,
    window_bytes: int,
    links_max: int,
    link_bytes_max: int,
    ping_interval: float,
    log_level: str,
    is_json: bool,
) -> None:
    """Run the hub, which workers and clients connect to."""
    if ctx.invoked_subcommand is not None:
        return
    config = HubConfig(
        listen=listen,
        is_insecure=insecure,
        tls=_tls(tls_cert, tls_key, tls_ca),
        token_file=token_file,
        token=None if token_file is not None else os.environ.get(TOKEN_VARIABLE) or None,
        store=store,
        job_limits=JobLimits(adopt_s=adopt, ended_max=jobs_kept_max),
        grace_s=grace,
        message_bytes_max=message_bytes_max,
        streams_max=streams_max,
        window_bytes=window_bytes,
        links_max=links_max,
        link_bytes_max=link_bytes_max,
        liveness=Liveness(ping_interval_s=ping_interval),
        limits=CallLimits(
            calls_waiting_max=queue_max,
            bytes_waiting_max=queue_bytes_max,
            worker_wait_max_s=worker_wait,
            job_share=job_share,
        ),
    )
    start_logging(log_level)
    asyncio.run(_serve(config, drain_s=drain, is_json=is_json))


hub.add_command(backup)
hub.add_command(check)


async def _serve(config: HubConfig, *, drain_s: float, is_json: bool) -> None:
    with stop_signals() as signalled:
        async with Hub(config) as running, answering_health(lambda: True):
            tune_collector()
            _log_access(config)
            click.echo(_ready_json(running.address) if is_json else _ready_words(config, running.address))
            number = await _signal_or_failure(signalled, running)
            logger.info("%s: draining for up to %g s; once more stops at once", number.name, drain_s)
            await running.stop(drain_s)


async def _signal_or_failure(signalled: "asyncio.Future[signal.Signals]", running: Hub) -> signal.Signals:
    """Return the signal that ends the hub.

    Raises:
        FailedError: the hub cannot go on.
    """
    failed = asyncio.create_task(running.failed())
    first: tuple[asyncio.Future[Any], ...] = (signalled, failed)
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        raise FailedError(f"the jobs cannot go on ({failed.result()!r}). The log says more; start the hub again")
    failed.cancel()
    return signalled.result()


def _ready_json(address: str) -> str:
    return json.dumps({"event": "ready", "address": address, "pid": os.getpid(), "version": __version__})


def _tls(cert: Path | None, key: Path | None, ca: Path | None) -> ServerTls | None:
    if cert is not None and key is not None:
        return ServerTls(cert=cert, key=key, ca=ca)
    lacking = "--tls-key" if cert is not None else "--tls-cert"
    if cert is not None or key is not None or ca is not None:
        raise ConfigurationError(f"{lacking} is missing: a hub that uses TLS needs a certificate and its key")
    return None


def _log_access(config: HubConfig) -> None:
    """Say who may come in, if not everybody: half of a guard should be noticed."""
    tokens = config.token_file or (config.token and TOKEN_VARIABLE)
    if config.tls is None and tokens is None:
        return
    tls = "no TLS" if config.tls is None else "TLS" if config.tls.ca is None else "TLS with certificates on both sides"
    logger.info("Access: %s, %s", tls, f"the tokens of {tokens}" if tokens else "no tokens")


def _ready_words(config: HubConfig, address: str) -> str:
    host, _, port = address.rpartition(":")
    reachable = f"{socket.gethostname()}:{port}" if host in {"0.0.0.0", "[::]"} else address  # noqa: S104
    return (
        f"Hub listens on {address}\n"
        f"Start a worker in the folder of your app:  portcall worker app:worker --hub {reachable}{_way(config)}"
    )


def _way(config: HubConfig) -> str:
    """Return the options besides --hub that a worker needs."""
    tls = "" if config.tls is None else " --tls-ca FILE"
    return tls + ("" if config.token_file is None and config.token is None else " --token-file FILE")
