"""What docs/jobs.md shows."""

import asyncio

from crawl_pb2 import CrawlRequest, ReportRequest

import portcall


async def first_steps(crawler):
    job = await crawler.Crawl.submit(CrawlRequest(site="a.example", path="/"))  # on the hub's disk now
    reply = await job  # or JobError, with the status that the method ended with
    return reply.words


async def elsewhere(crawler, job_id):
    job = crawler.Crawl.job(job_id)  # from any process, any day
    print((await job.status()).state.name)
    return await job


async def pipeline(crawler):
    pages = await crawler.Crawl.submit_many([CrawlRequest(site="a.example", path=f"/{n}") for n in range(3)])
    report = await crawler.Report.submit(ReportRequest(site="a.example", paths=["/"]), after=pages)
    return await report


async def fan_out(crawler, sites):
    requests = [CrawlRequest(site=site, path="/") for site in sites]
    jobs = await crawler.Crawl.submit_many(requests, key=lambda request: f"{request.site} 2026-11-22")
    return sum([(await job).words for job in jobs])


async def follow(job):
    async for event in job.events():
        match event:
            case portcall.jobs.Progressed(done=done, total=total, note=note):
                print(f"{done:g} of {total:g}: {note}")
            case portcall.jobs.AttemptEnded(details=details):
                print(f"once more: {details}")


async def as_they_end(jobs):
    for ended in asyncio.as_completed(jobs):
        try:
            print((await ended).words)
        except portcall.JobError as error:
            print(error.job_id, error.code().name, error.details())


async def give_up(job):
    try:
        async with asyncio.timeout(0.1):
            return await job
    except TimeoutError:
        await job.cancel()
