"""An app inside a package."""

from packaged.lading import worker

__all__ = ["worker"]
