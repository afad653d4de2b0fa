"""The options that say how a sidecar encrypts its connection to the upstream."""

import functools
from pathlib import Path
from typing import Any

from portcall.cli.options import Decorator, Function, file_path, setting
from portcall.errors import ConfigurationError
from portcall.wire.access import Tls

_OPTIONS: tuple[Decorator, ...] = (
    setting(
        "--upstream-tls",
        "Encrypt towards the upstream, and trust the authorities that the system trusts.",
        variable="PORTCALL_ATTACH_UPSTREAM_TLS",
        is_flag=True,
    ),
    setting(
        "--upstream-tls-ca",
        "Encrypt towards the upstream, and trust the authorities in this file.",
        variable="PORTCALL_ATTACH_UPSTREAM_TLS_CA",
        shown="those of the system",
        metavar="FILE",
        type=file_path,
    ),
    setting(
        "--upstream-tls-cert",
        "Certificate to show to an upstream that asks for one.",
        variable="PORTCALL_ATTACH_UPSTREAM_TLS_CERT",
        shown="none",
        metavar="FILE",
        type=file_path,
    ),
    setting(
        "--upstream-tls-key",
        "Key of that certificate.",
        variable="PORTCALL_ATTACH_UPSTREAM_TLS_KEY",
        shown="none",
        metavar="FILE",
        type=file_path,
    ),
)


def upstream_tls(command: Function) -> Function:
    """Add the options; the command gets `upstream_tls`, None if nothing is to be encrypted."""

    @functools.wraps(command)
    def with_tls(
        *,
        upstream_tls: bool | None,
        upstream_tls_ca: Path | None,
        upstream_tls_cert: Path | None,
        upstream_tls_key: Path | None,
        **others: Any,
    ) -> Any:
        if (upstream_tls_cert is None) is not (upstream_tls_key is None):
            raise ConfigurationError("--upstream-tls-cert and --upstream-tls-key belong together; give both")
        tls = Tls(ca=upstream_tls_ca, cert=upstream_tls_cert, key=upstream_tls_key)
        return command(upstream_tls=tls if upstream_tls or tls != Tls() else None, **others)

    decorated: Function = with_tls
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
