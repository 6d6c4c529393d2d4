"""Measures the time that the adapters add to a request: `requests_overhead.py URL`.

Prints JSON lines. Each adapter is compared with the same library without it, in one process, in
alternating rounds; each value is the median of its rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING

import httpx
import requests

import hoopauth

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT = "location:hoopLocation00000001"
PATH = "/contacts/hoopContact000000001"
TOKEN = "x" * 900
ROUNDS = 200
REQUESTS = 20


def client_of(url: str) -> hoopauth.Client:
    client = hoopauth.Client(
        client_id="0123456789abcdef01234567-bench",
        client_secret="00000000-0000-4000-8000-000000000000",
        api_base=url,
        store="memory:",
        default_account=ACCOUNT,
    )
    grant = hoopauth.Grant(ACCOUNT, TOKEN, expires_at=time.time() + 86_400)
    thread = threading.Thread(target=client.import_grant, args=(grant,))
    thread.start()
    thread.join()
    return client


def timed(send: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    for _ in range(REQUESTS):
        send()
    return (time.perf_counter_ns() - start) / REQUESTS / 1000


def compare(via: str, bare: Callable[[], object], ours: Callable[[], object]) -> None:
    by_hand, with_ours, ratios = [], [], []
    for turn in range(ROUNDS + 1):
        first, second = timed(bare), timed(ours)
        # The first round opens the connections.
        if turn:
            by_hand.append(first)
            with_ours.append(second)
            ratios.append(second / first)
    line = {
        "bench": "request_overhead",
        "via": via,
        "n": 1,
        "value": round(statistics.median(ratios), 4),
    }
    times = {
        "request_us": round(statistics.median(with_ours), 1),
        "floor_us": round(statistics.median(by_hand), 1),
    }
    pairs = [round(ratio, 4) for ratio in ratios]
    print(json.dumps({**line, "unit": "ratio", **times, "pairs": pairs}))


def main() -> None:
    base = sys.argv[1]
    url = base + PATH
    client = client_of(base)
    by_hand = {"Authorization": f"Bearer {TOKEN}", "Version": "2021-07-28"}

    plain, adapted = requests.Session(), requests.Session()
    plain.headers.update(by_hand)
    plain.trust_env = adapted.trust_env = False
    adapted.auth = client.requests_auth()
    compare("python", lambda: plain.get(url).content, lambda: adapted.get(url).content)

    with (
        httpx.Client(headers=by_hand, trust_env=False) as bare,
        httpx.Client(auth=client.httpx_auth(), trust_env=False) as ours,
    ):
        compare("python-httpx", lambda: bare.get(url).content, lambda: ours.get(url).content)


main()
