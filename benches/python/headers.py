"""Measures headers in Python, beside a plain dict of tokens; prints JSON lines.

Call it as `headers.py ACCOUNTS`. Both run in one process, in alternating rounds, over the same
random accounts; each value is the median of its rounds.
"""

from __future__ import annotations

import json
import random
import statistics
import string
import sys
import threading
import time

import hoopauth

ROUNDS = 11
CALLS = 100_000
TOKEN_CHARACTERS = 900
LETTERS = string.ascii_letters + string.digits


class Forgetful:
    """A store that forgets what is saved, so that the client holds only what it serves from."""

    def load(self, app: str, account: str) -> None:
        return None

    def save(self, *_: object) -> bool:
        return True

    def accounts(self, app: str) -> list[str]:
        return []


def client_over(names: list[str], tokens: list[str]) -> hoopauth.Client:
    client = hoopauth.Client(
        client_id="0123456789abcdef01234567-bench",
        client_secret="00000000-0000-4000-8000-000000000000",
        token_store=Forgetful(),
    )
    ends = time.time() + 86_400

    def fill() -> None:
        for name, token in zip(names, tokens, strict=True):
            assert client.import_grant(hoopauth.Grant(name, token, expires_at=ends)) == "imported"

    # Not on the main thread, where each call would have a thread of its own.
    thread = threading.Thread(target=fill)
    thread.start()
    thread.join()
    return client


def main() -> None:
    count = int(sys.argv[1])
    draw = random.Random(0x5EED)
    names = ["location:" + "".join(draw.choices(LETTERS, k=20)) for _ in range(count)]
    # What differs from token to token is at its front; the rest only has to be there.
    tokens = [
        "".join(draw.choices(LETTERS, k=24)).ljust(TOKEN_CHARACTERS, "x") for _ in range(count)
    ]
    client = client_over(names, tokens)
    plain = dict(zip(names, tokens, strict=True))
    # Texts of their own, in the order of the calls: as a caller has them that just read them
    # somewhere.
    order = [names[draw.randrange(count)].encode().decode() for _ in range(CALLS)]
    headers = client.headers
    rounds: dict[str, list[float]] = {"headers": [], "headers_floor": []}
    clock = time.perf_counter_ns
    for _ in range(ROUNDS):
        start = clock()
        for name in order:
            headers("GET", name)
        between = clock()
        for name in order:
            {
                "Authorization": f"Bearer {plain[name]}",
                "Version": "2021-07-28",
                "Content-Type": "application/json",
            }
        end = clock()
        rounds["headers"].append((between - start) / CALLS)
        rounds["headers_floor"].append((end - between) / CALLS)
    turns = zip(rounds["headers"], rounds["headers_floor"], strict=True)
    pairs = [round(ours / floor, 3) for ours, floor in turns]
    for bench, values in rounds.items():
        value = round(statistics.median(values), 1)
        line = {"bench": bench, "via": "python", "n": count, "value": value, "unit": "ns"}
        print(json.dumps({**line, "pairs": pairs} if bench == "headers" else line))


main()
