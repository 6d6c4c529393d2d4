"""Stores, transports, clocks and hooks of the program's own."""

from __future__ import annotations

import gc
import hashlib
import hmac
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from conftest import COMPANY, LOCATION, LOCATIONS, OPENER, Clock, World

import hoopauth
import hoopauth.types

Columns = tuple[bool, bool, float, float]


class Simple:
    """The least that a store is."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.lock = threading.Lock()

    def load(self, app: str, account: str) -> tuple[int, bytes] | None:
        return self.stored.get((app, account))

    def save(self, app: str, account: str, expected: int, data: bytes, columns: Columns) -> bool:
        with self.lock:
            if self.stored.get((app, account), (0, b""))[0] != expected:
                return False
            self.stored[app, account] = (expected + 1, data)
            return True

    def accounts(self, app: str) -> list[str]:
        return [account for of, account in self.stored if of == app]


class Lease:
    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock

    def release(self) -> None:
        self.lock.release()


class Full(Simple):
    """All that a store can be, in one process."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.columns: dict[tuple[str, str], Columns] = {}
        self.leases: dict[tuple[str, str], threading.Lock] = {}
        self.claims: set[bytes] = set()
        self.wait = 0.0
        self.count = 0

    def save(self, app: str, account: str, expected: int, data: bytes, columns: Columns) -> bool:
        saved = super().save(app, account, expected, data, columns)
        if saved:
            self.count += 1
            self.columns[app, account] = columns
        return saved

    @property
    def marked(self) -> list[str]:
        return [account for (_, account), (_, marked, _, _) in self.columns.items() if marked]

    def rows(self, app: str) -> list[tuple[str, Columns]]:
        self.calls.append("rows")
        return [(account, columns) for (of, account), columns in self.columns.items() if of == app]

    def lease(self, app: str, account: str, wait: float) -> Lease | None:
        self.calls.append("lease")
        lock = self.leases.setdefault((app, account), threading.Lock())
        return Lease(lock) if lock.acquire(timeout=wait) else None

    def take_slot(self, app: str, per_minute: int, priority: str, now: float) -> float:
        self.calls.append(f"take_slot {priority}")
        return self.wait

    def claim(self, app: str, claim: bytes, until: float, now: float) -> bool:
        self.calls.append("claim")
        new = claim not in self.claims
        self.claims.add(claim)
        return new

    def unclaim(self, app: str, claim: bytes) -> None:
        self.calls.append("unclaim")
        self.claims.discard(claim)

    def changes(self) -> int:
        return self.count


def typed(store: hoopauth.TokenStore, full: hoopauth.types.SharedTokenStore) -> None:
    """For the type checker alone."""


typed(Simple(), Full())


@pytest.mark.parametrize("kind", [Simple, Full])
def test_a_store_holds_grants_through_a_refresh(world: World, kind: type[Simple]) -> None:
    store = kind()
    client = world.ended(token_store=store, store_key="0123456789abcdef")
    client.headers("GET", LOCATION)
    with world.client(token_store=store, store_key="0123456789abcdef") as another:
        assert another.headers("GET", LOCATION) == client.headers("GET", LOCATION)
        assert another.accounts() == [LOCATION]
        assert another.remove(LOCATION)
        assert another.accounts() == []
    (row,) = store.stored.values()
    assert row[0] == 4  # imported, marked, refreshed, removed
    assert world.emulator.statistics()["token_requests"] == 1


@pytest.mark.parametrize("kind", [Simple, Full])
def test_a_sealed_store_shows_no_token(world: World, kind: type[Simple]) -> None:
    store = kind()
    client = world.client(token_store=store, store_key="0123456789abcdef")
    grant = world.emulator.grant(LOCATION)
    client.import_grant(grant)
    ((_, data),) = store.stored.values()
    assert grant.access_token.encode() not in data
    with pytest.raises(hoopauth.StoreKey):
        world.client(token_store=store).headers("GET", LOCATION)


def test_what_a_store_has_is_used(world: World) -> None:
    from conftest import approve

    store = Full()
    client = world.client(token_store=store)
    pending = client.authorization_request()
    redirect = approve(pending.url, LOCATION)
    assert client.complete(pending, redirect) == LOCATION
    with pytest.raises(hoopauth.StateMismatch):
        client.complete(pending, redirect)
    world.advance(86_399)
    client.headers("GET", LOCATION)
    client.maintain(world.clock.now() + 6)
    assert {"claim", "lease", "take_slot normal", "rows"} <= set(store.calls)
    assert not store.marked
    world.advance(86_399)
    store.wait = 3600.0
    with pytest.raises(hoopauth.RateLimited) as raised:
        client.headers("GET", LOCATION)
    assert raised.value.retry_after
    assert all(not lock.locked() for lock in store.leases.values())


def test_a_lost_answer_is_found_through_the_stores_mark(world: World) -> None:
    store = Full()
    client = world.ended(token_store=store)
    world.emulator.control("faults", {"endpoint": "token", "kind": "lost_answer", "times": 2})
    with pytest.raises(hoopauth.Network):
        client.headers("GET", LOCATION)
    assert store.marked
    # Another process comes by, within the window.
    world.advance(8)
    with world.client(token_store=store) as another:
        another.headers("GET", LOCATION)
    assert not store.marked
    statistics = world.emulator.statistics()
    assert (statistics["rotations"], statistics["reuse_outside_window"]) == (1, 0)


def test_a_simple_store_is_maintained(world: World) -> None:
    store = Simple()
    client = world.client(token_store=store)
    for account in LOCATIONS:
        client.import_grant(world.emulator.grant(account))
    world.advance(80_000)
    client.maintain(world.clock.now() + 10)
    assert world.emulator.statistics()["rotations"] == 3


class Planted(RuntimeError):
    pass


@pytest.mark.parametrize(
    "method", ["load", "save", "accounts", "rows", "lease", "take_slot", "claim"]
)
def test_a_store_that_raises(world: World, method: str) -> None:
    from conftest import approve

    store = Simple() if method == "accounts" else Full()
    client = world.client(token_store=store)
    client.import_grant(world.emulator.grant(LOCATION))
    pending = client.authorization_request()
    redirect = approve(pending.url, LOCATIONS[1])
    if method != "claim":
        world.advance(86_399)

    def broken(*_: Any) -> Any:
        raise Planted("pit-planted-secret")

    setattr(store, method, broken)
    calls: dict[str, Any] = {
        "load": lambda: client.export_grant(LOCATION),
        "save": lambda: client.remove(LOCATION),
        "accounts": client.accounts,
        "rows": client.accounts,
        "claim": lambda: client.complete(pending, redirect),
    }
    with pytest.raises(hoopauth.CallbackFailed) as raised:
        calls.get(method, lambda: client.headers("GET", LOCATION))()
    assert raised.value.code == 92
    assert isinstance(raised.value.__cause__, Planted)
    assert "planted" not in str(raised.value)
    assert "Planted" in str(raised.value)


@pytest.mark.parametrize("nonsense", [7, "x", (1,), ("a", "b"), (-1, b""), (1, b"{"), (1, b"\xff")])
def test_a_store_that_answers_nonsense(world: World, nonsense: Any) -> None:
    store = Simple()
    store.load = lambda app, account: nonsense  # type: ignore[method-assign]
    client = world.client(token_store=store)
    with pytest.raises((hoopauth.CallbackFailed, hoopauth.StoreCorrupt)):
        client.headers("GET", LOCATION)


@pytest.mark.parametrize("option", ["token_store", "transport", "clock", "on_change"])
def test_an_object_that_does_not_fit_is_told_at_once(option: str) -> None:
    with pytest.raises(hoopauth.Config, match=f"`{option}`: the given `object`") as raised:
        hoopauth.Client(client_id="a-b", client_secret="c", **{option: object()})
    assert "has no method" in str(raised.value) or option == "on_change"


@pytest.mark.parametrize("method", ["rows", "lease", "take_slot", "claim", "unclaim", "changes"])
def test_what_a_store_has_must_be_callable(world: World, method: str) -> None:
    store = Full()
    setattr(store, method, "not a method")
    with pytest.raises(
        hoopauth.Config,
        match=f"`token_store`: the given `Full` has a `{method}` that can't be called",
    ):
        world.client(token_store=store)
    # None says that it has none.
    setattr(store, method, None)
    client = world.ended(token_store=store)
    assert client.headers("GET", LOCATION)
    assert client.accounts() == [LOCATION]
    assert method not in store.calls


def test_a_clocks_sleep_must_be_callable() -> None:
    clock = Clock(1e9)
    clock.sleep = 1.5  # type: ignore[assignment, method-assign]
    with pytest.raises(hoopauth.Config, match="has a `sleep` that can't be called"):
        hoopauth.Client(client_id="a-b", client_secret="c", clock=clock)


@pytest.mark.parametrize("answer", [None, 1, 0, "yes"])
def test_a_save_that_does_not_say_whether(world: World, answer: Any) -> None:
    store = Simple()
    client = world.ended(token_store=store)
    save = store.save
    store.save = lambda *_: answer  # type: ignore[assignment, method-assign]
    with pytest.raises(
        hoopauth.CallbackFailed, match="`save` .* returned a `.*`, not True or False"
    ):
        client.headers("GET", LOCATION)
    # Nothing was sent without its mark.
    assert world.emulator.statistics()["token_requests"] == 0
    store.save = save  # type: ignore[method-assign]
    assert client.headers("GET", LOCATION)


def test_a_save_that_does_not_say_whether_loses_no_new_pair(world: World) -> None:
    store = Simple()
    client = world.ended(token_store=store)
    save = store.save

    def mute(app: str, account: str, expected: int, data: bytes, columns: Columns) -> Any:
        return save(app, account, expected, data, columns) if columns[1] else None

    store.save = mute  # type: ignore[method-assign]
    assert client.headers("GET", LOCATION)
    assert client.health(LOCATION).unsaved
    store.save = save  # type: ignore[method-assign]
    client.headers("GET", LOCATION)
    assert not client.health(LOCATION).unsaved
    assert world.emulator.statistics()["token_requests"] == 1


@pytest.mark.parametrize("answer", [None, 1])
def test_a_claim_that_does_not_say_whether(world: World, answer: Any) -> None:
    from conftest import approve

    store = Full()
    store.claim = lambda *_: answer  # type: ignore[assignment, method-assign]
    client = world.client(token_store=store)
    pending = client.authorization_request()
    with pytest.raises(hoopauth.CallbackFailed, match="`claim` .* not True or False"):
        client.complete(pending, approve(pending.url, LOCATION))


@pytest.mark.parametrize("wait", [float("nan"), "soon", None])
def test_a_slot_that_is_no_number(world: World, wait: Any) -> None:
    store = Full()
    client = world.ended(token_store=store)
    store.wait = wait
    with pytest.raises(
        hoopauth.CallbackFailed,
        match="`take_slot` .* returned a value that is not a number of seconds",
    ):
        client.headers("GET", LOCATION)


class Urllib:
    """A transport of the standard library."""

    def __init__(self) -> None:
        self.requests: list[hoopauth.TransportRequest] = []

    def send(self, request: hoopauth.TransportRequest) -> tuple[int, dict[str, str], bytes]:
        self.requests.append(request)
        sent = urllib.request.Request(
            request.url, request.body or None, request.headers, method=request.method
        )
        try:
            with OPENER.open(sent, timeout=request.timeout) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, dict(refused.headers), refused.read()


def test_a_transport_carries_a_refresh(world: World) -> None:
    transport: hoopauth.Transport = Urllib()
    client = world.ended(transport=transport)
    assert (
        world.emulator.call(client.headers("GET", LOCATION), "/locations/hoopLocation00000001")[0]
        == 200
    )
    (request,) = transport.requests  # type: ignore[attr-defined]
    # What is left of the eight seconds.
    assert (request.method, 0 < request.timeout < 8.0, request.max_body > 0) == ("POST", True, True)
    assert b"refresh_token=" in request.body
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "refresh_token" not in repr(request)


@pytest.mark.parametrize(
    ("raises", "expected"),
    [
        (hoopauth.Network("x"), hoopauth.Network),
        (hoopauth.Timeout("x"), hoopauth.Timeout),
        (hoopauth.Tls("x"), hoopauth.Tls),
        (Planted("pit-planted-secret"), hoopauth.CallbackFailed),
        (SystemExit(3), hoopauth.CallbackFailed),
    ],
)
def test_a_transport_that_raises(
    world: World, raises: BaseException, expected: type[hoopauth.Error]
) -> None:
    class Raising:
        def send(self, request: hoopauth.TransportRequest) -> Any:
            raise raises

    client = world.ended(transport=Raising())
    with pytest.raises(expected) as raised:
        client.headers("GET", LOCATION)
    assert "planted" not in str(raised.value)
    if expected is hoopauth.CallbackFailed:
        assert raised.value.__cause__ is raises


NO_STATUS = "returned a status that is not a whole number from 100 to 599"


@pytest.mark.parametrize(
    ("nonsense", "why"),
    [
        (None, "returned a `NoneType` that is not"),
        (200, "returned a `int` that is not"),
        ((200,), "returned a `tuple` that is not"),
        (("a", {}, b""), NO_STATUS),
        ((200.0, {}, b""), NO_STATUS),
        ((None, {}, b""), NO_STATUS),
        ((99, {}, b""), NO_STATUS),
        ((600, {}, b""), NO_STATUS),
        ((-200, {}, b""), NO_STATUS),
        ((10**400, {}, b""), NO_STATUS),
        ((200, {}, 7), "returned a body that is a `int`"),
        ((200, {}, {}), "returned a body that is a `dict`"),
    ],
)
def test_a_transport_that_answers_nonsense(world: World, nonsense: Any, why: str) -> None:
    class Nonsense:
        def send(self, request: hoopauth.TransportRequest) -> Any:
            return nonsense

    client = world.ended(transport=Nonsense())
    with pytest.raises(hoopauth.CallbackFailed) as raised:
        client.headers("GET", LOCATION)
    assert f"`send` of the program's transport {why}" in str(raised.value)


@pytest.mark.parametrize(
    "body", [bytes, bytearray, memoryview, bytes.decode], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        [],
        {"A": "b", b"C": b"d", "E": 7, 8: "f", None: None},
        [("A", "b"), (b"C", b"\xff"), ("one",), "xyz", 5, None, ("a", "b", "c")],
        iter([("A", "b")]),
        17,
    ],
    ids=lambda headers: type(headers).__name__,
)
def test_an_answer_is_not_lost_to_a_triviality(world: World, body: Any, headers: Any) -> None:
    class Odd(Urllib):
        def send(self, request: hoopauth.TransportRequest) -> Any:
            status, _, answer = super().send(request)
            return [status, headers, body(answer)]

    client = world.ended(transport=Odd())
    assert (
        world.emulator.call(client.headers("GET", LOCATION), "/locations/hoopLocation00000001")[0]
        == 200
    )
    assert world.emulator.statistics()["token_requests"] == 1


@pytest.mark.parametrize("name", ["Retry-After", b"retry-after"])
@pytest.mark.parametrize("pairs", [False, True])
def test_headers_are_read_in_every_form(world: World, name: Any, pairs: bool) -> None:
    value = "7" if isinstance(name, str) else b"7"

    class Limited:
        def send(self, request: hoopauth.TransportRequest) -> Any:
            return 429, [("odd",), (name, value)] if pairs else {5: 6, name: value}, None

    with pytest.raises(hoopauth.RateLimited) as raised:
        world.ended(transport=Limited()).headers("GET", LOCATION)
    assert raised.value.retry_after == 7.0


class Broken(Clock):
    broken = False

    def now(self) -> float:
        if self.broken:
            raise Planted("no time")
        return super().now()


@pytest.mark.parametrize("account", [LOCATION, COMPANY])
def test_a_clock_that_raises(world: World, account: str) -> None:
    clock = Broken(world.clock.now())
    client = world.client(clock=clock)
    client.import_grant(world.emulator.grant(LOCATION))
    clock.broken = True
    for call in (lambda: client.headers("GET", account), client.authorization_request):
        with pytest.raises(hoopauth.CallbackFailed) as raised:
            call()
        assert isinstance(raised.value.__cause__, Planted)
    clock.broken = False
    client.headers("GET", LOCATION)


@pytest.mark.parametrize(
    "time", [float("nan"), float("inf"), -1.0, 1e300, 10**400, -(10**400), "noon", None]
)
@pytest.mark.parametrize("method", ["now", "monotonic"])
def test_a_clock_that_answers_no_time(world: World, method: str, time: Any) -> None:
    clock = Clock(world.clock.now())
    client = world.client(clock=clock)
    client.import_grant(world.emulator.grant(LOCATION))
    good = getattr(clock, method)
    setattr(clock, method, lambda: time)
    for account in (LOCATION, COMPANY):
        with pytest.raises(
            hoopauth.CallbackFailed,
            match=f"`{method}` .* returned a value that is not a number of seconds",
        ):
            client.headers("GET", account)
    setattr(clock, method, good)
    assert client.headers("GET", LOCATION)


@pytest.mark.parametrize("time", [0.0, 253_402_300_799.0])
def test_a_clock_at_the_ends_of_time(world: World, time: float) -> None:
    clock = Clock(time)
    clock.steady = time
    client = world.client(clock=clock)
    client.import_grant(world.emulator.grant(LOCATION))
    assert client.headers("GET", LOCATION)


@pytest.mark.parametrize("raises", [Planted("pit-planted-secret"), SystemExit(3)])
def test_a_hook_that_raises_fails_no_call(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    raises: BaseException,
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: seen.append(told.exc_value))

    def hook(change: hoopauth.Change) -> None:
        raise raises

    client = world.ended(on_change=hook)
    assert client.headers("GET", LOCATION)
    assert client.remove(LOCATION)
    assert seen == [raises] * 3  # imported, refreshed, removed
    told = [record for record in caplog.records if record.name == "hoopauth.callback"]
    assert [record.levelname for record in told] == ["WARNING"] * 3
    assert (
        told[0].getMessage()
        == f"`on_change` of the program's hook raised `{type(raises).__name__}`; the call goes on"
    )


def test_a_hook_that_raises_hides_no_other_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    def hook(change: hoopauth.Change) -> None:
        raise Planted(change.kind)

    client = world.ended(on_change=hook)
    world.emulator.control("uninstall", {"account": LOCATION})
    with pytest.raises(hoopauth.ReauthorizationRequired) as raised:
        client.headers("GET", LOCATION)
    assert raised.value.__cause__ is None


def test_a_hook_that_raises_during_maintenance_is_unraisable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, seen = threading.Event(), []

    def unraisable(raised: Any) -> None:
        seen.append(type(raised.exc_value))
        told.set()

    monkeypatch.setattr(sys, "unraisablehook", unraisable)

    def hook(change: hoopauth.Change) -> None:
        if change.kind == "refreshed":
            raise Planted(change.kind)

    client = world.ended(on_change=hook)
    with client.maintain_in_background():
        assert told.wait(30)
    assert seen == [Planted]


@pytest.mark.parametrize("main", [True, False])
@pytest.mark.parametrize("fresh", [True, False])
def test_calling_back_into_the_client_is_refused(world: World, main: bool, fresh: bool) -> None:
    refused: list[BaseException] = []

    class Reentering(Simple):
        armed = False

        def load(self, app: str, account: str) -> tuple[int, bytes] | None:
            if self.armed:
                for call in (
                    lambda: client.headers("GET", LOCATION if fresh else LOCATIONS[1]),
                    lambda: client.headers("GET", LOCATION, timeout=1),
                    client.accounts,
                    client.authorization_request,
                    client.close,
                    client.maintain_in_background,
                ):
                    with pytest.raises(hoopauth.InvalidState) as raised:
                        call()
                    refused.append(raised.value)
            return super().load(app, account)

    store = Reentering()
    client = world.client(token_store=store)
    client.import_grant(world.emulator.grant(LOCATION))
    store.armed = True
    if main:
        client.health(LOCATION)
    else:
        thread = threading.Thread(target=client.health, args=(LOCATION,))
        thread.start()
        thread.join()
    assert len(refused) >= 6
    store.armed = False
    gc.collect()


def test_a_new_pair_that_can_not_be_saved_is_saved_later(world: World) -> None:
    kinds: list[str] = []
    store = Simple()
    client = world.ended(token_store=store, on_change=lambda change: kinds.append(change.kind))
    save = store.save

    def broken(app: str, account: str, expected: int, data: bytes, columns: Columns) -> bool:
        if columns[1]:  # the mark, before the refresh is sent
            return save(app, account, expected, data, columns)
        raise Planted

    store.save = broken  # type: ignore[method-assign]
    headers = client.headers("GET", LOCATION)
    assert world.emulator.call(headers, "/locations/hoopLocation00000001")[0] == 200
    assert client.health(LOCATION).unsaved
    store.save = save  # type: ignore[method-assign]
    client.headers("GET", LOCATION)
    assert not client.health(LOCATION).unsaved
    assert kinds == ["saved", "unsaved", "saved"]


@pytest.mark.parametrize("without", [("claim", "unclaim"), ("unclaim",)])
def test_a_webhook_is_handled_once_over_a_store_without_claims(
    world: World, without: tuple[str, ...]
) -> None:
    store = Full()
    for method in without:
        setattr(store, method, None)
    secret = "a-planted-secret-of-this-webhook"
    verifier = world.client(token_store=store).webhook_verifier(
        [hoopauth.WebhookKey("hmac-sha256", "mine", secret)], without_timestamp=True
    )
    body = b'{"type":"A","webhookId":"w"}'
    headers = {"x-wl-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
    verifier.verify(headers, body).confirm()
    with pytest.raises(hoopauth.WebhookReplayed):
        verifier.verify(headers, body)
    assert "claim" not in store.calls
