"""The link and its parts, without a stream beneath."""
