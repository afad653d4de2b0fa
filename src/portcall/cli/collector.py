"""How Python's garbage collector works in our processes."""

import gc

_AT_START = gc.get_threshold()
"""What they are before an app is loaded."""

THRESHOLDS = (5_000, 10, 100)
"""See `tune_collector`."""


def tune_collector() -> None:
    """Have fewer and shorter collections, since no call moves meanwhile. Leaves thresholds alone that an app has set.

    To be called when all is loaded. What is there by then lives as long as the process; frozen, no collection walks
    over it any more: before, that was the longest pause of a hub under load, about 18 ms. Full collections, whose
    pauses grow with the number of links, come at the earliest after five million containers; Python's own settings
    would have them after 70,000. The first threshold lets most of what a job or call needs be gone before a collection
    looks at it; it is not higher, since to collect 20,000 young containers is a pause of 10 ms.
    """
    gc.collect()
    gc.freeze()
    if gc.get_threshold() == _AT_START:
        gc.set_threshold(*THRESHOLDS)
