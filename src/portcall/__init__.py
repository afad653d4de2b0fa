"""Portcall: a fleet of containerised workers that looks like one gRPC server."""

from portcall._version import __version__

__all__ = ["__version__"]
