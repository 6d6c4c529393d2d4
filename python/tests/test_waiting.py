"""Ctrl-C, deadlines and cancelling: the wait ends, the refresh does not."""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from conftest import LOCATION, World, run_python

import hoopauth


def it_went_on(world: World, client: hoopauth.Client) -> None:
    world.emulator.release()
    headers = client.headers("GET", LOCATION)
    assert world.emulator.call(headers, "/locations/hoopLocation00000001")[0] == 200
    assert world.emulator.statistics()["token_requests"] == 1


def once_held(world: World, act: Callable[[], Any]) -> threading.Thread:
    def wait_and_act() -> None:
        assert world.emulator.held()
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def test_ctrl_c_ends_the_wait(world: World) -> None:
    client = world.ended()
    world.emulator.hold()
    with pytest.raises(KeyboardInterrupt):
        once_held(world, lambda: signal.raise_signal(signal.SIGINT))
        client.headers("GET", LOCATION)
    it_went_on(world, client)


def test_another_signals_handler_runs_and_the_wait_goes_on(world: World) -> None:
    client = world.ended()
    world.emulator.hold()
    before = signal.signal(signal.SIGUSR1, lambda *_: world.emulator.release())
    try:
        thread = once_held(world, lambda: signal.raise_signal(signal.SIGUSR1))
        assert client.headers("GET", LOCATION)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_ctrl_c_ends_closing(world: World) -> None:
    client = world.ended()
    world.emulator.hold()
    context = hoopauth.Context()
    once_held(world, context.cancel)
    with pytest.raises(hoopauth.Cancelled):
        client.headers("GET", LOCATION, context=context)
    with pytest.raises(KeyboardInterrupt):
        once_held(world, lambda: signal.raise_signal(signal.SIGINT))
        client.close()


def test_a_timeout_ends_the_wait(world: World) -> None:
    client = world.ended()
    world.emulator.hold()
    with pytest.raises(hoopauth.Timeout) as raised:
        client.headers("GET", LOCATION, timeout=0.1)
    assert raised.value.retryable
    it_went_on(world, client)


def test_another_thread_cancels(world: World) -> None:
    client = world.ended()
    world.emulator.hold()
    context = hoopauth.Context()
    thread = once_held(world, context.cancel)
    with pytest.raises(hoopauth.Cancelled):
        client.headers("GET", LOCATION, context=context)
    thread.join()
    assert context.cancelled
    with pytest.raises(hoopauth.Cancelled):
        client.accounts(context=context)
    it_went_on(world, client)


def test_ctrl_c_ends_maintenance() -> None:
    client = hoopauth.Client(client_id="a-b", client_secret="c", store="memory:")
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.1, lambda: signal.raise_signal(signal.SIGINT)).start()
        client.maintain(4e9)


class OneRow:
    """A store of one account, in a cycle with what uses it; it tells when the refreshed grant is
    saved.
    """

    client: hoopauth.Client
    maintenance: hoopauth.Maintenance
    row: tuple[int, bytes] | None = None

    def __init__(self, saved: threading.Event) -> None:
        self.saved = saved

    def load(self, app: str, account: str) -> tuple[int, bytes] | None:
        return self.row

    def save(self, app: str, account: str, expected: int, data: bytes, columns: Any) -> bool:
        self.row = (expected + 1, data)
        if expected == 2:  # imported, marked, and now refreshed
            self.saved.set()
        return True

    def accounts(self, app: str) -> list[str]:
        return [LOCATION]


def test_a_refresh_under_way_outlives_its_client(world: World) -> None:
    saved = threading.Event()
    store = OneRow(saved)
    store.client = world.ended(token_store=store)
    world.clients.clear()
    world.emulator.hold()
    context = hoopauth.Context()
    once_held(world, context.cancel)
    with pytest.raises(hoopauth.Cancelled):
        store.client.headers("GET", LOCATION, context=context)
    gone = weakref.ref(store.client)
    # A cycle that nothing holds but the call.
    del store
    gc.collect()
    world.emulator.release()
    assert saved.wait(30)
    while gone() is not None:
        gc.collect()


@pytest.mark.parametrize("within", [False, True], ids=["beside the cycle", "within it"])
def test_maintenance_keeps_its_client_until_it_stops(world: World, within: bool) -> None:
    saved = threading.Event()
    store = OneRow(saved)
    store.client = world.ended(token_store=store)
    world.clients.clear()
    world.emulator.hold()
    maintenance = store.client.maintain_in_background()
    assert world.emulator.held()
    stop = weakref.ref(maintenance)
    if within:
        store.maintenance = maintenance
        del maintenance
    gone = weakref.ref(store)
    del store
    gc.collect()
    world.emulator.release()
    assert saved.wait(30)
    running = stop()
    assert running
    running.stop()
    del running
    if not within:
        del maintenance
    while gone() is not None:
        gc.collect()


def test_ctrl_c_ends_the_wait_for_maintenance_to_stop(world: World) -> None:
    client = world.ended()
    world.emulator.hold()
    maintenance = client.maintain_in_background()
    # Stopped before it sent anything, it would have nothing to wait for.
    assert world.emulator.held()

    def stop() -> None:
        maintenance.stop()

    def once_stopping(main: int) -> None:
        while sys._current_frames()[main].f_code is not stop.__code__:
            time.sleep(0)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        threading.Thread(target=once_stopping, args=[threading.get_ident()], daemon=True).start()
        stop()
    it_went_on(world, client)


NO_THREADS = """
import json, os, resource, threading, hoopauth
import sys
client = hoopauth.Client(**json.loads(sys.argv[1]))
account, access, refresh = sys.argv[2:]
client.import_grant(hoopauth.Grant(account, access, refresh_token=refresh))
go, result = threading.Event(), []
def call():
    go.wait()
    for _ in range(2):
        try:
            client.headers("GET", account)
            result.append("served")
        except hoopauth.Error as error:
            result.append(f"{error.name} {error.retryable}")
        more.set()
        again.wait()
more, again = threading.Event(), threading.Event()
caller = threading.Thread(target=call)
caller.start()
if os.geteuid() == 0:
    # The limit does not hold for root.
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
least, most = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (0, most))
go.set()
more.wait()
resource.setrlimit(resource.RLIMIT_NPROC, (least, most))
again.set()
caller.join()
print(*result, sep="\\n")
"""


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", ["served", "served", ""]),
        # Its name can't be looked up.
        ("localhost", ["NETWORK True", "served", ""]),
    ],
)
def test_without_a_thread_to_spare_calls_work_unless_a_name_is_looked_up(
    world: World, host: str, expected: list[str]
) -> None:
    emulator = world.emulator
    emulator.control("clock", {"frozen": False})
    grant = emulator.grant(LOCATION)
    assert grant.refresh_token
    options = json.dumps(emulator.options()).replace("127.0.0.1", host)
    arguments = (options, LOCATION, grant.access_token, grant.refresh_token)
    assert run_python(NO_THREADS, *arguments).stdout.split("\n") == expected
    assert emulator.statistics()["token_requests"] == 1


PROGRAM = """
import os, signal, sys, threading, json, urllib.request, hoopauth
options, control = json.loads(sys.argv[1]), sys.argv[2]
clients = [hoopauth.Client(**options)]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
def interrupt():
    opener.open(control + "/held?endpoint=token&at_least=1&timeout=30").read()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    clients[0].headers("GET", sys.argv[4])
except KeyboardInterrupt:
    print("interrupted", flush=True)
    if sys.argv[3] == "gone":
        clients.clear()
if sys.argv[3] == "closing":
    try:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        clients[0].close()
    except KeyboardInterrupt:
        pass
threading.Thread(target=lambda: opener.open(control + "/release", data=b"{}").read()).start()
"""


@pytest.mark.parametrize("client", ["there", "gone", "closing"])
def test_the_end_of_the_program_waits_for_a_refresh_under_way(
    world: World, tmp_path: Any, client: str
) -> None:
    emulator = world.emulator
    emulator.control("clock", {"frozen": False})
    options = emulator.options(store=f"sqlite:{tmp_path}/grants.db", store_key="0123456789abcdef")
    with hoopauth.Client(**options) as own:
        grant = emulator.grant(LOCATION)
        assert grant.refresh_token
        own.import_grant(
            hoopauth.Grant(LOCATION, grant.access_token, refresh_token=grant.refresh_token)
        )
    emulator.hold()
    done = run_python(PROGRAM, json.dumps(options), emulator.urls["control"], client, LOCATION)
    assert done.stdout == "interrupted\n"
    with hoopauth.Client(**options) as own:
        new = own.export_grant(LOCATION)
        assert new.refresh_token != grant.refresh_token
        assert emulator.control("refresh-token", {"token": new.refresh_token})["live"]
    assert emulator.statistics()["token_requests"] == 1
