"""From the start of Python to one header printed, beside Python that does nothing: prints a JSON line.

Both in alternating runs; each value is the median of its runs.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 21
PROGRAM = "import hoopauth; print(hoopauth.Client(access_token='t').headers()['Authorization'])"


def took(program: str, expected: bytes) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    end = time.perf_counter()
    assert done.stdout == expected
    return (end - start) * 1000


def main() -> None:
    for _ in range(3):
        took(PROGRAM, b"Bearer t\n")
    pairs = [(took(PROGRAM, b"Bearer t\n"), took("pass", b"")) for _ in range(RUNS)]
    value = statistics.median(with_header for with_header, _ in pairs)
    floor = statistics.median(bare for _, bare in pairs)
    line = {"bench": "cold_start", "via": "python", "n": 1, "value": round(value, 2), "unit": "ms"}
    print(json.dumps({**line, "floor_ms": round(floor, 2), "over_floor_ms": round(value - floor, 2)}))


main()
