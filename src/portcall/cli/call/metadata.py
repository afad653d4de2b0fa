"""Metadata as a user writes it: KEY: VALUE."""

import re

import click

from portcall.contract.scalars import read_base64
from portcall.wire.metadata import STATUS_DETAILS_KEY, is_forwarded

_KEY = re.compile(r"[0-9a-z_.\-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


def metadatum(text: str) -> tuple[str, str | bytes]:
    """Read one entry. A type for `click.option`.

    The value of a key that ends in -bin is base64, and sent as the bytes that it stands for.
    """
    key, colon, value = text.partition(":")
    key, value = key.strip().lower(), value.strip()
    if not colon or not _KEY.fullmatch(key):
        raise click.BadParameter(f"{text!r} is not 'KEY: VALUE', with a key of letters, digits, '-', '_' and '.'")
    if not is_forwarded(key) or key == STATUS_DETAILS_KEY:
        raise click.BadParameter(f"{key!r} is gRPC's own, and cannot be set")
    if key.endswith("-bin"):
        try:
            return key, read_base64(value)
        except ValueError:
            raise click.BadParameter(f"the value of {key!r} is not base64, as that of every -bin key must be") from None
    if not _VALUE.fullmatch(value):
        raise click.BadParameter(f"the value of {key!r} is not ASCII; send it as base64 under {key + '-bin'!r}")
    return key, value
