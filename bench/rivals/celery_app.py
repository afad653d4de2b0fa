"""Celery with Redis as broker and result backend."""

import json
import os
import sys
import time

from celery import Celery, group

URL = os.environ["BENCH_REDIS"]
app = Celery("celery_app", broker=URL, backend=URL)
app.conf.worker_prefetch_multiplier = 100
app.conf.broker_connection_retry_on_startup = True


@app.task
def echo(data):
    return data


def main():
    jobs, size = int(sys.argv[2]), int(sys.argv[3])
    data = "x" * size
    echo.delay(data).get(timeout=60)
    if "--one-by-one" in sys.argv:
        times = []
        for _ in range(jobs):
            begun = time.perf_counter()
            echo.delay(data).get(timeout=60)
            times.append(time.perf_counter() - begun)
        print(json.dumps({"times": times}))
        return
    begun = time.perf_counter()
    results = group(echo.s(data) for _ in range(jobs)).apply_async().get(timeout=600)
    assert results == [data] * jobs
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
