"""The published cases, from programs that block, by way of hub and sidecar to servers in other languages."""

from interop.test_blocking_published_cases import *  # noqa: F403  # each case runs with the fixtures of this folder
