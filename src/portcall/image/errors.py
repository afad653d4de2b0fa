"""What goes wrong with images and may go right when it is tried again."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from portcall.errors import PortcallError


class ImageError(PortcallError):
    """An image could not be made, pushed or read, and not for a fault of the command; the message says why."""


@contextmanager
def writing(what: object) -> Iterator[None]:
    """Say in words why something could not be written.

    Raises:
        ImageError: the disk is full, or will not have it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageError(
                f"the disk is full: cannot write {what}. Make room and run this again; what is done is kept"
            ) from None
        raise ImageError(f"cannot write {what}: {error.strerror or error}") from None
