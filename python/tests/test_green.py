"""Tests of shared and ended threads: greenlets, sub-interpreters, impatient calls,
and maintenance that ends itself.
"""

from __future__ import annotations

import pytest
from conftest import run_python

# Every program starts like this. Its transport and its store switch to other greenlets, as all
# waiting does there.
START = """
import gevent.monkey

gevent.monkey.patch_all()
import json
import logging
import time

import gevent
import gevent.event

import hoopauth

A, B, C = (f"location:L{number}" for number in range(3))


class Transport:
    def __init__(self):
        self.sent, self.on_send = [], lambda account: gevent.sleep(0.02)

    def send(self, request):
        form = bytes(request.body).decode()
        spent = dict(pair.split("=") for pair in form.split("&"))["refresh_token"]
        account = "location:" + spent.removeprefix("rt-").split("-")[0]
        self.sent.append(account)
        self.on_send(account)
        identity = account.partition(":")[2]
        return 200, {}, json.dumps({
            "access_token": f"at-{identity}-new",
            "refresh_token": f"rt-{identity}-{len(self.sent)}",
            "token_type": "Bearer", "expires_in": 86399,
            "userType": "Location", "locationId": identity,
            "companyId": "C1", "scope": "a"})


transport = Transport()


def client_of(**options):
    made = hoopauth.Client(**{
        "client_id": "app1-suffix", "client_secret": "secret-0123456789",
        "store": "memory:", "transport": transport,
        "token_requests_per_minute": 1000, **options})
    for account in (A, B, C):
        expire(made, account)
    return made


def expire(client, account):
    identity = account.partition(":")[2]
    client.import_grant(hoopauth.Grant(
        account=account, access_token="at-old",
        refresh_token=f"rt-{identity}-{time.monotonic_ns()}",
        expires_at=time.time() - 5), replace=True)


def bearer(client, account, **wait):
    try:
        return client.headers("GET", account, **wait)["Authorization"]
    except hoopauth.Error as error:
        return error.name


def together(*calls):
    tasks = [gevent.spawn(call) for call in calls]
    gevent.joinall(tasks, timeout=30, raise_error=True)
    assert all(task.ready() for task in tasks), [task.ready() for task in tasks]
    return [task.value for task in tasks]


"""


def test_greenlets_that_want_one_account_get_the_one_refresh() -> None:
    run_python(
        START
        + """
for wait in ({}, {"timeout": 20}, {"context": hoopauth.Context()}):
    client = client_of()
    transport.sent.clear()
    got = together(*[lambda: bearer(client, A, **wait)] * 3)
    assert got == ["Bearer at-L0-new"] * 3, got
    assert transport.sent == [A], transport.sent
    # Some that wait and some that may leave.
    expire(client, B)
    got = together(
        lambda: bearer(client, B),
        lambda: bearer(client, B, timeout=20),
        lambda: bearer(client, B),
    )
    assert got == ["Bearer at-L1-new"] * 3, got
    assert transport.sent == [A, B], transport.sent
    client.close()
"""
    )


def test_calls_of_greenlets_end_in_any_order() -> None:
    """The state of a call stays with the call: its deadline, what its callbacks raised,
    its place in a callback.
    """
    run_python(
        START
        + """
class Store:
    # Rows in memory; each call lets others run.
    def __init__(self):
        self.table = {}

    def load(self, app, account):
        gevent.sleep(0)
        return self.table.get((app, account))

    def save(self, app, account, expected, data, columns):
        gevent.sleep(0)
        version, _ = self.table.get((app, account), (0, b""))
        if version == expected:
            self.table[app, account] = (expected + 1, bytes(data))
        return version == expected

    def accounts(self, app):
        gevent.sleep(0)
        return [account for of, account in self.table if of == app]

    def changes(self):
        gevent.sleep(0)
        return 0


class Clock:
    now, monotonic = staticmethod(time.time), staticmethod(time.monotonic)
    sleep = staticmethod(gevent.sleep)


class Handler(logging.Handler):
    def emit(self, record):
        gevent.sleep(0)


logging.getLogger("hoopauth").addHandler(Handler())
logging.getLogger("hoopauth").setLevel(1)
logging.getLogger("hoopauth").propagate = False
changes = []


def on_change(change):
    gevent.sleep(0)
    changes.append(change.kind)


client = client_of(store=None, token_store=Store(), clock=Clock(), on_change=on_change)
for order in ((A, B, C), (C, B, A), (B, A, C), (A, C, B)):
    # They leave the transport in this order, whatever the order that they came in.
    turns = {account: gevent.event.Event() for account in order}
    came = []

    def on_send(account):
        came.append(account)
        if len(came) == 3:
            turns[order[0]].set()
        turns[account].wait()
        later = order[order.index(account) + 1:]
        if later:
            turns[later[0]].set()

    transport.on_send = on_send
    transport.sent.clear()
    for account in order:
        expire(client, account)
    got = together(*[lambda account=account: bearer(client, account) for account in (A, B, C)])
    assert got == [f"Bearer at-L{number}-new" for number in range(3)], got
    assert sorted(transport.sent) == [A, B, C]
assert "refreshed" in changes

# What one's transport raises is the cause of its own error.
def raises(account):
    gevent.sleep(0.01)
    if account != B:
        raise ValueError(account)


def cause(account):
    try:
        return client.headers("GET", account)["Authorization"]
    except hoopauth.CallbackFailed as error:
        return repr(error.__cause__)


transport.on_send = raises
for account in (A, B, C):
    expire(client, account)
got = together(*[lambda account=account: cause(account) for account in (A, B, C)])
assert got == ["ValueError('location:L0')", "Bearer at-L1-new", "ValueError('location:L2')"], got
client.close()
"""
    )


def test_a_greenlet_has_its_own_deadline() -> None:
    run_python(
        START
        + """
hasty, calm = client_of(timeout=0.3), client_of(timeout=30)
released = gevent.event.Event()
transport.on_send = lambda account: released.wait()


def later():
    # Begun while the hasty one's call is in the transport; sends long after that one's end.
    gevent.sleep(0.05)
    return bearer(calm, B)


def release():
    gevent.sleep(0.6)
    released.set()


got = together(lambda: bearer(hasty, A), later, release)
assert got[1] == "Bearer at-L1-new", got
# Afterwards no call is under a deadline of before.
transport.on_send = lambda account: None
expire(hasty, C)
assert bearer(hasty, C) == "Bearer at-L2-new"
"""
    )


def test_a_call_from_within_is_refused_and_one_beside_it_is_not() -> None:
    run_python(
        START
        + """
client = client_of(on_change=lambda change: inside.append(bearer(client, C)))
inside, beside = [], []
def on_send(account):
    inside.append(bearer(client, account))
    gevent.sleep(0.05)
    inside.append(bearer(client, C))


transport.on_send = on_send


def other():
    gevent.sleep(0.02)
    beside.append(client.fresh_headers("GET", B))
    beside.append(sorted(client.accounts()) == [A, B, C])


inside.clear()
got, _ = together(lambda: bearer(client, A), other)
assert got == "Bearer at-L0-new", got
assert inside == ["INVALID_STATE"] * 3, inside
assert beside == [None, True], beside
"""
    )


def test_closing_lets_the_other_greenlets_end_their_calls() -> None:
    run_python(
        START
        + """
client = client_of()
released = gevent.event.Event()
transport.on_send = lambda account: released.wait()


def close():
    gevent.sleep(0.05)
    gevent.spawn_later(0.05, released.set)
    client.close()
    return transport.sent


got = together(lambda: bearer(client, A), close)
assert got == ["Bearer at-L0-new", [A]], got
"""
    )


def test_native_threads_beside_greenlets() -> None:
    run_python(
        START
        + """
client = client_of()
pool = gevent.get_hub().threadpool
native = [pool.spawn(bearer, client, account) for account in (A, B, C)]
got = together(*[lambda account=account: bearer(client, account) for account in (A, B, C)])
expected = [f"Bearer at-L{number}-new" for number in range(3)]
assert got == [task.get() for task in native] == expected, got
assert sorted(transport.sent) == [A, B, C], transport.sent
client.close()
"""
    )


def test_a_sub_interpreter_is_told_why_and_the_program_ends() -> None:
    code = """
import sys
try:
    import _interpreters as interpreters
    create = lambda: interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    create = interpreters.create
run = getattr(interpreters, "run_string", None) or interpreters.exec
if len(sys.argv) > 1:
    import hoopauth
    client = hoopauth.Client(access_token="token")
attempt = '''
try:
    import hoopauth
except ImportError as error:
    print("refused:", error)
'''
for _ in range(2):
    run(create(), attempt)
print("end", flush=True)
"""
    for arguments in ((), ("imported before",)):
        said = run_python(code, *arguments).stdout.splitlines()
        assert said[-1] == "end"
        assert all("sub-interpreter" in line for line in said[:-1] if line.startswith("refused")), (
            said
        )
        assert len(said) == 3, said


@pytest.mark.parametrize("timeout", [0.001, 0.0])
def test_impatient_calls_do_not_pile_up_threads(timeout: float) -> None:
    run_python(
        """
import sys, threading
import hoopauth

released = threading.Event()


class Transport:
    def send(self, request):
        released.wait()
        raise hoopauth.Network("it broke")


client = hoopauth.Client(
    client_id="app1-suffix", client_secret="secret-0123456789",
    store="memory:", transport=Transport(),
    token_requests_per_minute=100_000)
accounts = [f"location:L{number}" for number in range(500)]
for account in accounts:
    grant = hoopauth.Grant(account, "at-old", refresh_token="rt-" + account, expires_at=1.0)
    client.import_grant(grant)


def threads():
    status = open("/proc/self/status")
    return int(next(line for line in status if line.startswith("Threads")).split()[1])


timeout = float(sys.argv[1])
for number in range(1_500):
    try:
        client.headers("GET", accounts[number % len(accounts)], timeout=timeout)
    except hoopauth.Timeout as error:
        assert error.retryable
    else:
        raise AssertionError("it had no answer")
assert threads() < 100, threads()
for number in range(500):
    try:
        sent, body = {"Authorization": "Bearer at-old"}, '{"message":"Invalid JWT"}'
        client.report(sent, 401, body=body, account=accounts[0], timeout=timeout)
    except hoopauth.Timeout as error:
        pass
assert threads() < 100, threads()
released.set()
client.close()
""",
        str(timeout),
    )


@pytest.mark.parametrize("way", ["drop", "stop", "all", "close"])
def test_maintenance_and_client_go_in_a_hook_on_maintenances_thread(way: str) -> None:
    """Nothing waits for itself, nothing panics, and the pair that the hook tells of is saved."""
    run_python(
        """
import gc, json, sys, threading
import hoopauth

renewed, rows = threading.Event(), {}


class Store:
    def load(self, app, account):
        return rows.get(account)

    def save(self, app, account, expected, data, columns):
        if rows.get(account, (0, b""))[0] != expected:
            return False
        rows[account] = (expected + 1, bytes(data))
        return True

    def accounts(self, app):
        return list(rows)


class Transport:
    def send(self, request):
        return 200, {}, json.dumps({
            "access_token": "at-new", "refresh_token": "rt-new",
            "expires_in": 86399, "userType": "Location",
            "locationId": "L1"})


def on_change(change):
    if change.kind == "refreshed":
        assert threading.current_thread() is not threading.main_thread()
        ways[sys.argv[1]]()
        gc.collect()
        renewed.set()


def close():
    try:
        held["client"].close()
    except hoopauth.InvalidState:
        held.clear()


ways = {
    "drop": lambda: held.pop("maintenance"), "stop": lambda: held["maintenance"].stop(),
    "all": lambda: held.clear(), "close": close,
}
options = dict(client_id="app1-suffix", client_secret="secret-0123456789", transport=Transport())
held = {"client": hoopauth.Client(token_store=Store(), on_change=on_change, **options)}
grant = hoopauth.Grant("location:L1", "at-old", refresh_token="rt-old", expires_at=1.0)
held["client"].import_grant(grant)
held["maintenance"] = held["client"].maintain_in_background()
assert renewed.wait(60)
held.clear()
gc.collect()
with hoopauth.Client(token_store=Store(), **options) as other:
    assert other.export_grant("location:L1").access_token == "at-new"
""",
        way,
    )
