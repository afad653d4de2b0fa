"""Taskiq with Redis as broker and result backend."""

import asyncio
import json
import os
import sys
import time

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

URL = os.environ["BENCH_REDIS"]
broker = ListQueueBroker(url=URL).with_result_backend(RedisAsyncResultBackend(redis_url=URL))


@broker.task(task_name="echo")
async def echo(data: str) -> str:
    return data


async def main():
    jobs, size = int(sys.argv[2]), int(sys.argv[3])
    data = "x" * size
    await broker.startup()
    await (await echo.kiq(data)).wait_result(timeout=60, check_interval=0.001)
    if "--one-by-one" in sys.argv:
        times = []
        for _ in range(jobs):
            begun = time.perf_counter()
            await (await echo.kiq(data)).wait_result(timeout=60, check_interval=0.001)
            times.append(time.perf_counter() - begun)
        print(json.dumps({"times": times}))
    else:
        at_once = asyncio.Semaphore(100)

        async def submit():
            async with at_once:
                return await echo.kiq(data)

        begun = time.perf_counter()
        sent = await asyncio.gather(*(submit() for _ in range(jobs)))
        for task in sent:
            result = await task.wait_result(timeout=600, check_interval=0.005)
            assert result.return_value == data
        print(json.dumps({"seconds": time.perf_counter() - begun}))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
