"""What can be wrong with a store, one class for each thing that somebody can do about it."""

from portcall.errors import ConfigurationError, PortcallError


class StoreError(PortcallError):
    """Root of these."""


class StoreUnavailableError(StoreError):
    """A store cannot write or read now, and may be able to later: a full disk, a read-only file system, an I/O error.

    The batch that raised it has not happened. It may be tried again, after a while, on the same store.
    """

    def __init__(self, words: str, *, is_full: bool = False) -> None:
        super().__init__(words)
        self.is_full = is_full


class StoreDamagedError(StoreError):
    """The file is not what a store wrote. Nothing was written to it, nor will be until a sound one is opened."""


class StoreInUseError(StoreError, ConfigurationError):
    """Another process has this store open."""


class StoreNotOursError(StoreError, ConfigurationError):
    """The file is a database of another program, or of a newer Portcall, or there can be none at this path."""
