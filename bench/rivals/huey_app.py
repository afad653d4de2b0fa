"""Huey with SQLite, flushed to the disk."""

import json
import os
import sys
import time

from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["BENCH_SQLITE"], fsync=True, timeout=60)


@huey.task()
def echo(data):
    return data


def main():
    jobs, size = int(sys.argv[2]), int(sys.argv[3])
    data = "x" * size
    echo(data).get(blocking=True, timeout=60)
    if "--one-by-one" in sys.argv:
        times = []
        for _ in range(jobs):
            begun = time.perf_counter()
            echo(data).get(blocking=True, timeout=60, backoff=1.0, max_delay=0.001)
            times.append(time.perf_counter() - begun)
        print(json.dumps({"times": times}))
        return
    begun = time.perf_counter()
    sent = [echo(data) for _ in range(jobs)]
    results = [result.get(blocking=True, timeout=600, backoff=1.0, max_delay=0.01) for result in sent]
    assert results == [data] * jobs
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    from huey_app import echo

    main()
