"""Hubs, workers and channels on real sockets, in one process: what they promise of each other.

Links are cut, held and deafened by a TCP proxy; hostile peers write their frames by hand. The servicers are those of
`interop`, whose contract has descriptors for reflection to tell of.
"""

import interop  # noqa: F401  # puts protoc's output on the path
