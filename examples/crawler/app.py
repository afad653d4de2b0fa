"""A crawler of an internet that is not there: each page has as many words as its address has letters."""

from crawl_pb2 import CrawlReply, CrawlRequest, ReportReply
from crawl_pb2_grpc import CrawlerServicer, CrawlerStub, add_CrawlerServicer_to_server

import portcall


class Crawler(CrawlerServicer):
    def __init__(self, channel=None):
        self.channel = channel

    async def Crawl(self, request, context):
        return CrawlReply(words=len(request.site + request.path))

    async def Report(self, request, context):
        self.channel = self.channel or portcall.Channel()  # to submit jobs of its own
        crawler = CrawlerStub(self.channel)
        job = portcall.current_job()
        words = 0
        for number, path in enumerate(request.paths):
            page = CrawlRequest(site=request.site, path=path)
            crawled = await crawler.Crawl.submit(page, step=path)  # done already? then its recorded result
            words += (await crawled).words
            job.progress(number + 1, len(request.paths), path)
        return ReportReply(pages=len(request.paths), words=words)


worker = portcall.Worker()
add_CrawlerServicer_to_server(Crawler(), worker)
