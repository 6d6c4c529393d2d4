"""No copy of a token that the library made outlives its client."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import LOCATION, Emulator

# The tokens come by HTTP and are never handed to Python, whose strings are the program's own.
WORKER = """
import gc, json, sys
import hoopauth
options, code, account = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
client = hoopauth.Client(**options)
client.complete_unsolicited(code, account)
client.request("GET", "/locations/" + account.split(":")[1], account=account)
print("used", flush=True)
sys.stdin.readline()
client.close()
del client
gc.collect()
print("gone", flush=True)
sys.stdin.readline()
"""


def writable(pid: int) -> Iterator[bytes]:
    """The memory of another process, part by part."""
    process = pathlib.Path(f"/proc/{pid}")
    with (process / "maps").open() as maps, (process / "mem").open("rb", 0) as memory:
        for line in maps:
            part = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not part:
                continue
            start, end = (int(number, 16) for number in part.groups())
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue


@pytest.mark.parametrize("store", ["memory:", "sqlite"])
def test_no_token_is_left_in_memory(emulator: Emulator, tmp_path: pathlib.Path, store: str) -> None:
    path = "memory:" if store == "memory:" else f"sqlite:{tmp_path}/grants.db"
    options = emulator.options(
        store=path, store_key="0123456789abcdef", redirect_uri="https://app.example/back"
    )
    code = emulator.control("authorize", {"account": LOCATION})["code"]
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps(options), code, LOCATION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin
    assert worker.stdout
    with worker:
        found = {}
        for state in ("used", "gone"):
            assert worker.stdout.readline().strip() == state
            grant = emulator.control(f"grants?account={LOCATION}")
            # The end of a token is its random signature.
            tokens = {
                name: grant[name][-64:].encode() for name in ("access_token", "refresh_token")
            }
            parts = list(writable(worker.pid))
            found[state] = {
                name: sum(part.count(token) for part in parts) for name, token in tokens.items()
            }
            worker.stdin.write("\n")
            worker.stdin.flush()
    assert found["used"]["access_token"] > 0, "they would be found"
    assert found["gone"] == {"access_token": 0, "refresh_token": 0}
