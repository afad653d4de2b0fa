"""Dramatiq with Redis as broker and result backend."""

import json
import os
import sys
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

URL = os.environ["BENCH_REDIS"]
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def echo(data):
    return data


def main():
    jobs, size = int(sys.argv[2]), int(sys.argv[3])
    data = "x" * size
    echo.send(data).get_result(block=True, timeout=60_000)
    if "--one-by-one" in sys.argv:
        times = []
        for _ in range(jobs):
            begun = time.perf_counter()
            echo.send(data).get_result(block=True, timeout=60_000)
            times.append(time.perf_counter() - begun)
        print(json.dumps({"times": times}))
        return
    begun = time.perf_counter()
    sent = [echo.send(data) for _ in range(jobs)]
    results = [message.get_result(block=True, timeout=600_000) for message in sent]
    assert results == [data] * jobs
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
