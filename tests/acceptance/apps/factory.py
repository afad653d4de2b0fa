"""A function that returns a worker."""

from cargo import worker

import portcall


def make() -> portcall.Worker:
    return worker
