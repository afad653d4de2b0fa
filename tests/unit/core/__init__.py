"""The switchboard and its parts, one decision at a time."""
