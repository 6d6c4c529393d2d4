"""Forked and spawned children: no hang, no crash, no lie, no spent refresh token."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest
from conftest import LOCATION, Emulator, run_python

import hoopauth

FORKED = """
import json, os, sys, threading, warnings
import hoopauth
options, url = json.loads(sys.argv[1]), sys.argv[2]
LOCATION = "location:hoopLocation00000001"

def in_child(work):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        # Not os._exit: the interpreter ends as it does in a program, clients and all.
        os.close(read)
        os.write(write, work().encode())
        os.close(write)
        sys.exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    assert status == 0, status
    return said

def attempt(call):
    try:
        return call()
    except hoopauth.Error as error:
        return error.name + " " + str(error)
"""


def forked(code: str, options: dict[str, Any], *arguments: str) -> str:
    return run_python(FORKED + code, json.dumps(options), *(arguments or ("",))).stdout


def imported(emulator: Emulator, options: dict[str, Any], *, ended: bool) -> None:
    """Puts a grant into a shared store."""
    grant = emulator.grant(LOCATION)
    if ended:
        grant = hoopauth.Grant(LOCATION, grant.access_token, refresh_token=grant.refresh_token)
    with hoopauth.Client(**options) as client:
        client.import_grant(grant)


@pytest.fixture
def shared(emulator: Emulator, tmp_path: pathlib.Path) -> dict[str, Any]:
    return emulator.options(store=f"sqlite:{tmp_path}/grants.db", store_key="0123456789abcdef")


def test_a_child_refreshes_with_a_client_of_its_own(
    emulator: Emulator, shared: dict[str, Any]
) -> None:
    imported(emulator, shared, ended=True)
    code = """
client = hoopauth.Client(**options)
assert client.accounts() == [LOCATION]  # the parent's connection is open
child = in_child(lambda: client.headers("GET", LOCATION)["Authorization"])
print(client.headers("GET", LOCATION)["Authorization"] == child)
"""
    assert forked(code, shared) == "True\n"
    assert emulator.statistics()["token_requests"] == 1


def test_cached_headers_go_on_in_a_child(emulator: Emulator, shared: dict[str, Any]) -> None:
    imported(emulator, shared, ended=False)
    code = """
client = hoopauth.Client(**options)
headers = client.headers("GET", LOCATION)
print(in_child(lambda: str(client.fresh_headers("GET", LOCATION) == headers)))
print(in_child(lambda: str(in_child(lambda: " ".join(client.accounts())))))
"""
    assert forked(code, shared) == f"True\n{LOCATION}\n"


def test_memory_stays_with_its_process(emulator: Emulator) -> None:
    options = emulator.options()
    code = """
client = hoopauth.Client(**options)
client.import_grant(hoopauth.Grant(LOCATION, "token", expires_at=4e9))
print(in_child(lambda: client.headers("GET", LOCATION)["Authorization"]))
print(in_child(lambda: attempt(client.accounts)))
print(in_child(lambda: attempt(lambda: client.headers("GET", "location:other"))))
print(in_child(lambda: attempt(lambda: hoopauth.Client(**options).headers("GET", LOCATION))))
print(in_child(lambda: str(client.close())))
print(client.accounts())
"""
    lines = forked(code, options).splitlines()
    assert lines[0] == "Bearer token"
    assert lines[1].startswith("INVALID_STATE")
    assert "make the client after the fork" in lines[1]
    assert lines[2].startswith("INVALID_STATE")
    assert lines[3].startswith("NO_GRANT")
    assert lines[4:] == ["None", f"['{LOCATION}']"]


def test_static_tokens_need_no_thought() -> None:
    code = """
client = hoopauth.Client(**options)
print(in_child(lambda: client.headers("POST")["Authorization"]))
os.environ["HOOPAI_TOKEN"] = "pit-env"
client = hoopauth.Client.from_env()
del os.environ["HOOPAI_TOKEN"]
print(in_child(lambda: client.headers("POST")["Authorization"]))
client.close()
print(in_child(lambda: attempt(client.accounts)).split()[0])
"""
    assert forked(code, {"access_token": "a"}) == "Bearer a\nBearer pit-env\nINVALID_STATE\n"


def test_a_store_of_the_programs_says_whether_it_is_shared() -> None:
    code = """
class Store:
    def load(self, app, account): return None
    def save(self, *_): return False
    def accounts(self, app): return []
store = Store()
client = hoopauth.Client(client_id="a-b", client_secret="c", token_store=store)
print(in_child(lambda: attempt(lambda: str(client.accounts()))))
store.shared = True
print(in_child(lambda: attempt(lambda: str(client.accounts()))))
"""
    first, second = forked(code, {}).splitlines()
    assert first.startswith("INVALID_STATE")
    assert "shared = True" in first
    assert second == "[]"


def test_cached_headers_go_on_where_a_child_can_make_no_client() -> None:
    code = """
class Store:
    rows_ = {}
    def load(self, app, account): return self.rows_.get(account)
    def save(self, app, account, expected, data, columns):
        self.rows_[account] = (expected + 1, bytes(data))
        return True
    def accounts(self, app): return list(self.rows_)

class Clock:
    at = 1.8e9
    def now(self): return self.at
    def monotonic(self): return self.at

clock = Clock()
client = hoopauth.Client(client_id="a-b", client_secret="c", token_store=Store(), clock=clock)
client.import_grant(hoopauth.Grant(LOCATION, "token", expires_at=clock.at + 86400))
client.headers("GET", LOCATION)

def later(seconds, **wait):
    clock.at += seconds
    return attempt(lambda: client.headers("GET", LOCATION, **wait)["Authorization"])

for seconds in (0, 10, 3600, 86000):
    print(in_child(lambda: later(seconds)), in_child(lambda: later(seconds, timeout=5)))
print(in_child(lambda: later(86401)).split()[0])
"""
    lines = forked(code, {}).splitlines()
    assert lines == ["Bearer token Bearer token"] * 4 + ["INVALID_STATE"]


def test_a_fork_during_a_refresh(emulator: Emulator, shared: dict[str, Any]) -> None:
    """The child must not wait for the parent's threads, which it does not have."""
    imported(emulator, shared, ended=True)
    emulator.hold()
    code = """
import urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
client = hoopauth.Client(**options, max_wait=0.1)
thread = threading.Thread(target=lambda: attempt(lambda: client.headers("GET", LOCATION)))
maintenance = client.maintain_in_background()
thread.start()
opener.open(url + "/held?endpoint=token&at_least=1&timeout=30").read()
print(in_child(lambda: attempt(lambda: client.headers("GET", LOCATION))).split()[0])
opener.open(url + "/release", data=b"{}").read()
thread.join()
maintenance.stop()  # whichever of the two had the lease has given it back
headers = lambda: client.headers("GET", LOCATION)
print(in_child(lambda: attempt(lambda: headers()["Authorization"].split()[0])))
"""
    assert forked(code, shared, emulator.urls["control"]) == "LEASE_TIMEOUT\nBearer\n"
    assert emulator.statistics()["token_requests"] == 1


POOL = """
import json, multiprocessing, sys
import hoopauth
LOCATION = "location:hoopLocation00000001"
client = None

def work(options):
    global client
    client = client or hoopauth.Client(**options)
    try:
        return client.headers("GET", LOCATION)["Authorization"]
    except hoopauth.Error as error:
        return error.name

def fail(_):
    client = hoopauth.Client(client_id="a-b", client_secret="c", store="memory:")
    return client.headers("GET", LOCATION)

if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    if sys.argv[2] == "fork":
        work(options)  # the parent's client is inherited
    with multiprocessing.get_context(sys.argv[2]).Pool(4) as pool:
        answers = pool.map(work, [options] * 16)
        try:
            pool.map(fail, [1])
        except hoopauth.NoGrant as error:
            print(error.account)
    print(len(answers), len(set(answers)), answers[0].startswith("Bearer "))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(
    emulator: Emulator, shared: dict[str, Any], method: str, tmp_path: pathlib.Path
) -> None:
    imported(emulator, shared, ended=True)
    program = tmp_path / "program.py"
    program.write_text(POOL)
    done = subprocess.run(
        [sys.executable, str(program), json.dumps(shared), method],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == f"{LOCATION}\n16 1 True\n", done.stderr
    assert emulator.statistics()["token_requests"] == 1


APP = """
import json, os
import hoopauth
client = hoopauth.Client(**json.loads(os.environ["OPTIONS"]))
master = os.getpid()
assert client.accounts()  # the master uses it, too

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    assert os.getpid() != master
    return [client.headers("GET", "location:hoopLocation00000001")["Authorization"].encode()]
"""


def test_gunicorn_preloads(
    emulator: Emulator, shared: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    imported(emulator, shared, ended=True)
    (tmp_path / "program.py").write_text(APP)
    socket = tmp_path / "socket"
    (tmp_path / "conf.py").write_text(
        f"bind = 'unix:{socket}'\nworkers = 2\npreload_app = True\nworker_tmp_dir = '{tmp_path}'\n"
        "def when_ready(server):\n    print('ready', flush=True)\n"
    )
    gunicorn = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "conf.py", "program:app"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OPTIONS": json.dumps(shared)},
    )  # fmt: skip
    assert gunicorn.stdout
    try:
        assert gunicorn.stdout.readline() == "ready\n"
        answers = set()
        for _ in range(8):
            import httpx

            with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=60) as http:
                answers.add(http.get("http://app/").text)
    finally:
        gunicorn.send_signal(signal.SIGTERM)
        _, said = gunicorn.communicate(timeout=60)
    assert len(answers) == 1, said
    assert answers.pop().startswith("Bearer ")
    assert gunicorn.returncode == 0, said
    assert "Traceback" not in said
    assert emulator.statistics()["token_requests"] == 1
