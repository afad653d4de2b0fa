"""A test of one's own, with the plugin that comes with Portcall."""

from app import Crawler
from crawl_pb2 import CrawlRequest
from crawl_pb2_grpc import CrawlerStub, add_CrawlerServicer_to_server


async def test_a_crawl_waits_for_its_day(portcall_fleet):
    channel = portcall_fleet.channel()
    await portcall_fleet.serve(add_CrawlerServicer_to_server, Crawler(channel))
    crawler = CrawlerStub(channel)
    job = await crawler.Crawl.submit(CrawlRequest(site="a.example", path="/"), delay=86_400)
    portcall_fleet.clock.advance(86_400)
    await portcall_fleet.restart_hub()
    assert (await job).words == 10
