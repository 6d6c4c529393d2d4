"""Measures the time from the start of Python to one printed header; prints a JSON line.

The floor is a Python that does nothing. Both run in turn; each value is the median of its runs.
With two arguments, `store` and `store_key`, the header comes from a grant in that store; without,
from a grant that was imported into memory.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 21
CLIENT = """
import hoopauth
client = hoopauth.Client(
    client_id="0123456789abcdef01234567-bench",
    client_secret="00000000-0000-4000-8000-000000000000",
    store={store!r},
    store_key={key!r},
)
"""
IMPORT = 'client.import_grant(hoopauth.Grant("location:one", "token", expires_at=4e9))\n'
HEADER = 'print(client.headers("GET", "location:one")["Authorization"])\n'


def took(program: str, expected: bytes) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    end = time.perf_counter()
    assert done.stdout == expected
    return (end - start) * 1000


def main() -> None:
    if len(sys.argv) > 1:
        store, key = sys.argv[1:]
        program = CLIENT.format(store=store, key=key) + HEADER
    else:
        store = "memory:"
        program = CLIENT.format(store=store, key=None) + IMPORT + HEADER
    name = store.partition(":")[0]
    for _ in range(3):
        took(program, b"Bearer token\n")
    pairs = [(took(program, b"Bearer token\n"), took("pass", b"")) for _ in range(RUNS)]
    value = statistics.median(with_header for with_header, _ in pairs)
    floor = statistics.median(bare for _, bare in pairs)
    line = {
        "bench": "cold_start",
        "via": "python",
        "n": 1,
        "value": round(value, 2),
        "unit": "ms",
        "store": name,
    }
    over = [round(with_header - bare, 3) for with_header, bare in pairs]
    more = {"floor_ms": round(floor, 2), "over_floor_ms": round(statistics.median(over), 2)}
    print(json.dumps({**line, **more, "pairs": over}))


main()
