"""A mitmproxy script that says in each request which replica it went through: $REPLICA."""

import os

from mitmproxy.http import HTTPFlow


def request(flow: HTTPFlow) -> None:
    flow.request.headers["x-replica"] = os.environ["REPLICA"]
