"""Headers, options, errors, and what a client shows of itself."""

from __future__ import annotations

import copy
import gc
import pathlib
import pickle
import threading
import weakref
from typing import Any

import pytest
from conftest import COMPANY, LOCATION, LOCATIONS, Clock, World, approve, run_python

import hoopauth

JWT = "eyJhbGciOiJSUzI1NiJ9.planted-secret-planted-secret"


def test_headers_are_the_callers_own() -> None:
    client = hoopauth.Client(private_integration_token="pit-1")
    headers = client.headers("post")
    assert headers == {
        "Authorization": "Bearer pit-1",
        "Version": "2021-07-28",
        "User-Agent": f"hoopauth/{hoopauth.__version__} (python)",
        "Content-Type": "application/json",
    }
    assert list(headers) == ["Authorization", "Version", "User-Agent", "Content-Type"]
    headers.clear()
    assert len(client.headers("POST")) == 4
    assert list(client.headers()) == ["Authorization", "Version", "User-Agent"]


def test_fresh_headers_never_wait(world: World) -> None:
    client = world.client()
    assert client.fresh_headers("GET", LOCATION) is None
    client.import_grant(world.emulator.grant(LOCATION))
    assert client.fresh_headers("GET", LOCATION) == client.headers("GET", LOCATION)
    world.advance(86_399)
    assert client.fresh_headers("GET", LOCATION) is None
    assert world.emulator.statistics()["token_requests"] == 0


def test_options_in_pythons_own_types(tmp_path: pathlib.Path) -> None:
    hoopauth.Client(
        client_id="a-b",
        client_secret="c",
        timeout=30,
        attempt_timeout=2.5,
        max_retries=0,
        scopes=["x", "y"],
        ca_file=tmp_path,
        proxy=None,
    ).close()
    wrong = {
        "timeout": "soon",
        "refresh_before": float("nan"),
        "max_retries": -1,
        "store": True,
        "scopes": [1],
    }
    wrong["ca_file"] = b"x"
    for name, value in wrong.items():
        with pytest.raises(hoopauth.Config, match=name):
            hoopauth.Client(access_token="a", **{name: value})
    with pytest.raises(hoopauth.Config, match="no_such_option"):
        hoopauth.Client(access_token="a", no_such_option=1)


def test_every_option_is_taken() -> None:
    for name in hoopauth.OPTIONS:
        with pytest.raises(hoopauth.Config, match=name):
            hoopauth.Client(**{name: ""})


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOPAI_TOKEN", "pit-env\r\n")
    monkeypatch.setenv("HOOPAUTH_API_VERSION", "v3")
    client = hoopauth.Client.from_env()
    assert client.headers()["Authorization"] == "Bearer pit-env"
    assert client.headers()["Version"] == "v3"
    assert hoopauth.Client.from_env(api_version="2021-04-15").headers()["Version"] == "2021-04-15"
    with pytest.raises(hoopauth.Config):
        hoopauth.Client()


def test_the_default_store_is_the_users_own_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    hoopauth.Client(private_integration_token="pit-1").headers("GET")
    with hoopauth.Client(access_token="a") as static:
        assert static.accounts() == []
    options = {"client_id": "a-b", "client_secret": "c"}
    client = hoopauth.Client(**options)
    assert list(tmp_path.iterdir()) == []
    client.import_grant(hoopauth.Grant(LOCATION, "token", expires_at=4e9))
    with hoopauth.Client(**options) as another:
        assert another.headers("GET", LOCATION)["Authorization"] == "Bearer token"
    client.close()
    made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "hoopauth").iterdir()}
    assert {"grants.db", "store.key"} <= set(made)
    assert set(made.values()) == {0o600}


def test_errors_carry_everything(world: World) -> None:
    client = world.client()
    with pytest.raises(hoopauth.NoGrant) as raised:
        client.headers("GET", LOCATION)
    error = raised.value
    assert isinstance(error, hoopauth.Error)
    assert (error.code, error.name, error.account, error.retryable) == (
        31,
        "NO_GRANT",
        LOCATION,
        False,
    )
    assert str(error).endswith("[NO_GRANT]")
    with pytest.raises(hoopauth.RateLimited) as raised_:
        body = b'{"message":"Too many","traceId":"t1"}'
        client.report(
            {"Authorization": "Bearer a"}, 429, {"Retry-After": "7"}, body, account=LOCATION
        )
    error = raised_.value
    assert (error.status, error.retry_after, error.retryable) == (429, 7.0, True)
    assert (error.trace_id, error.server_message, error.account) == ("t1", "Too many", LOCATION)
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), vars(back), str(back)) == (hoopauth.RateLimited, vars(error), str(error))


def test_wrong_arguments() -> None:
    client = hoopauth.Client(access_token="a", default_account="location:one")
    with pytest.raises(hoopauth.WrongAccount):
        client.headers("GET", "location:two")
    with pytest.raises(hoopauth.InvalidArgument):
        client.headers("GET", "nonsense")
    with pytest.raises(TypeError):
        client.headers(7)  # type: ignore[arg-type]
    with pytest.raises(hoopauth.InvalidState):
        client.authorization_request()
    for timeout in (-1, float("nan"), float("-inf"), -(10**400)):
        with pytest.raises(hoopauth.InvalidArgument):
            client.headers("GET", "location:three", timeout=timeout)
        with pytest.raises(hoopauth.InvalidArgument):
            hoopauth.Context(timeout)
    with pytest.raises(hoopauth.InvalidArgument):
        client.headers("GET", "location:three", timeout=1, context=hoopauth.Context())


@pytest.mark.parametrize("timeout", [None, float("inf"), 10**400, 1e300])
def test_an_endless_timeout_is_no_deadline(world: World, timeout: Any) -> None:
    client = world.client()
    context = hoopauth.Context(timeout)
    assert client.accounts(context=context) == []
    assert client.accounts(timeout=timeout) == []
    context.cancel()
    with pytest.raises(hoopauth.Cancelled):
        client.accounts(context=context)


@pytest.mark.parametrize(
    "at", [float("nan"), float("inf"), float("-inf"), -1.0, 1e300, 10**400, -(10**400)]
)
def test_a_grant_ends_within_time(at: Any) -> None:
    with pytest.raises(hoopauth.InvalidArgument, match="expires_at"):
        hoopauth.Grant(LOCATION, "a", expires_at=at)
    assert hoopauth.Grant(LOCATION, "a", expires_at=0).expires_at == 0.0
    with pytest.raises(TypeError):
        hoopauth.Grant(LOCATION, "a", expires_at="noon")  # type: ignore[arg-type]


def test_numbers_of_any_size_raise_what_is_documented(world: World) -> None:
    client = world.client()
    for status in (-1, 0, 99, 600, 70_000, 10**400):
        with pytest.raises(hoopauth.InvalidArgument, match="status"):
            client.report({"Authorization": "Bearer a"}, status, account=LOCATION)
    with pytest.raises(hoopauth.InvalidArgument, match="until"):
        client.maintain(float("nan"))
    client.maintain(float("-inf"))
    for value in (10**400, 10**5000, float("inf")):
        with pytest.raises(hoopauth.Config, match="timeout"):
            hoopauth.Client(access_token="a", timeout=value)


@pytest.mark.parametrize(
    "account", ["", "nonsense", "location:", "user:a", "location:a b", LOCATION + "\n"]
)
def test_an_adapter_is_made_for_an_account(account: str) -> None:
    client = hoopauth.Client(client_id="a-b", client_secret="c")
    for make in (client.requests_auth, client.httpx_auth):
        with pytest.raises(hoopauth.InvalidArgument):
            make(account)
        assert LOCATION in repr(make(LOCATION))
        assert make()


def test_login_mint_health_export_remove(world: World) -> None:
    changes: list[hoopauth.Change] = []
    client = world.client(on_change=changes.append)
    pending = client.authorization_request(pkce=True, scopes=["oauth.write", "locations.readonly"])
    assert pending.state in pending.url
    assert "code_challenge=" in pending.url
    assert pending.expires_at == world.clock.now() + 600
    sealed = pending.seal()
    redirect = approve(pending.url, COMPANY)
    assert client.complete(client.open_pending(sealed), redirect) == COMPANY
    with pytest.raises(hoopauth.StateMismatch):
        client.complete(pending, redirect)
    client.mint(LOCATION, COMPANY)
    assert client.accounts() == [COMPANY, LOCATION]
    assert (
        world.emulator.call(client.headers("GET", LOCATION), "/locations/hoopLocation00000001")[0]
        == 200
    )
    health = client.health(LOCATION)
    assert (health.needs_reauthorization, health.unsaved, health.last_error) == (False, False, None)
    assert health.expires_at > world.clock.now()
    grant = client.export_grant(LOCATION)
    assert (grant.account, grant.minted, grant.company_id) == (
        LOCATION,
        True,
        "hoopCompany000000001",
    )
    assert client.import_grant(grant) == "known"
    assert client.import_grant(world.emulator.grant(LOCATION)) == "kept"
    assert client.import_grant(world.emulator.grant(LOCATION), replace=True) == "imported"
    assert client.remove(LOCATION) is True
    assert client.remove(LOCATION) is False
    assert [(c.account, c.kind) for c in changes] == [
        (COMPANY, "saved"),
        (LOCATION, "saved"),
        (LOCATION, "saved"),
        (LOCATION, "removed"),
    ]


def test_an_installation_without_state(world: World) -> None:
    client = world.client()
    code = world.emulator.control("authorize", {"account": LOCATION})["code"]
    assert client.complete_unsolicited(code, LOCATION) == LOCATION
    code = world.emulator.control("authorize", {"account": LOCATION})["code"]
    with pytest.raises(hoopauth.WrongAccount):
        client.complete_unsolicited(code, LOCATIONS[1])


def test_report_refreshes_once(world: World) -> None:
    client = world.client(default_account=LOCATION)
    client.import_grant(world.emulator.grant(LOCATION))
    headers = {**client.headers("POST"), "Version": "2021-04-15"}
    assert client.report(headers, 200) is None
    world.emulator.control("revoke", {"account": LOCATION, "access": True, "refresh": False})
    status, body = world.emulator.call(headers, "/contacts/?locationId=hoopLocation00000001")
    again = client.report(headers, status, {}, body)
    assert again
    assert again["Authorization"] != headers["Authorization"]
    assert (again["Version"], again["Content-Type"]) == ("2021-04-15", "application/json")
    assert world.emulator.statistics()["token_requests"] == 1
    with pytest.raises(hoopauth.InsufficientScope):
        client.report(again, 401, {}, '{"message":"The token is not authorized for this scope."}')
    assert world.emulator.statistics()["token_requests"] == 1
    with pytest.raises(hoopauth.InvalidArgument):
        client.report({}, 401)


def test_nothing_shows_a_secret(world: World) -> None:
    client = world.client()
    grant = hoopauth.Grant(LOCATION, JWT, refresh_token=JWT + "2")
    pending = client.authorization_request()
    client.import_grant(world.emulator.grant(LOCATION))
    health, auths = client.health(LOCATION), [client.httpx_auth(), client.requests_auth()]
    shown = [repr(x) for x in (client, grant, pending, health, hoopauth.Context(), *auths)]
    assert grant.refresh_token == JWT + "2"
    for secret in (JWT, pending.state, pending.url, world.emulator.options()["client_secret"]):
        assert not [text for text in shown if secret in text]


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_is_not_pickled(how: Any) -> None:
    with pytest.raises(TypeError, match="make one in each process"):
        how(hoopauth.Client(access_token="a"))


def test_closing() -> None:
    with hoopauth.Client(client_id="a-b", client_secret="c", store="memory:") as client:
        pass
    client.close()
    for call in (
        lambda: client.headers("GET", LOCATION),
        client.accounts,
        client.authorization_request,
        client.maintain_in_background,
    ):
        with pytest.raises(hoopauth.InvalidState):
            call()
    assert "closed" in repr(client)


def test_a_client_dies_with_its_last_reference() -> None:
    client = hoopauth.Client(access_token="a")
    dead = weakref.ref(client)
    del client
    assert dead() is None


class Holder:
    """Anything that a program may bring, at the end of a cycle."""

    client: hoopauth.Client

    def load(self, app: str, account: str) -> None:
        return None

    def save(
        self,
        app: str,
        account: str,
        expected: int,
        data: bytes,
        columns: tuple[bool, bool, float, float],
    ) -> bool:
        return False

    def accounts(self, app: str) -> list[str]:
        return []

    def now(self) -> float:
        return 1.0

    monotonic = now

    def send(self, request: hoopauth.TransportRequest) -> Any:
        raise NotImplementedError

    def __call__(self, change: hoopauth.Change) -> None:
        pass


@pytest.mark.parametrize("what", ["token_store", "transport", "clock", "on_change"])
def test_cycles_are_collected(what: str) -> None:
    holder = Holder()
    holder.client = hoopauth.Client(
        client_id="a-b", client_secret="c", **{"store": "memory:", what: holder}
    )
    with pytest.raises(hoopauth.NoGrant):
        holder.client.headers("GET", LOCATION)
    dead = weakref.ref(holder)
    dead_client = weakref.ref(holder.client)
    del holder
    assert dead() is not None
    gc.collect()
    assert dead() is None
    assert dead_client() is None


def test_cycles_through_a_pending_authorization_are_collected() -> None:
    holder: Any = Holder()
    client = hoopauth.Client(
        client_id="a-b", client_secret="c", redirect_uri="https://a.example/", clock=holder
    )
    holder.pending = client.authorization_request(scopes="x")
    dead = weakref.ref(holder)
    del holder, client
    gc.collect()
    assert dead() is None


def test_a_pending_authorization_keeps_what_it_needs() -> None:
    holder = Holder()
    holder.client = hoopauth.Client(
        client_id="a-b", client_secret="c", redirect_uri="https://a.example/", clock=holder
    )
    pending = holder.client.authorization_request(scopes="x")
    del holder
    gc.collect()
    assert pending.seal()


def test_many_threads_refresh_once(world: World) -> None:
    client = world.ended()
    world.emulator.hold()
    results: list[str] = []

    def get() -> None:
        results.append(client.headers("GET", LOCATION)["Authorization"])

    threads = [threading.Thread(target=get) for _ in range(20)]
    for thread in threads:
        thread.start()
    # While they wait, this thread has the interpreter.
    assert world.emulator.held()
    world.emulator.release()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert len(set(results)) == 1
    assert world.emulator.statistics()["token_requests"] == 1


def test_maintenance(world: World) -> None:
    client = world.ended()
    client.maintain(world.clock.now() + 60)
    assert world.emulator.statistics()["rotations"] == 1
    with client.maintain_in_background() as maintenance:
        maintenance.stop()
    with pytest.raises(hoopauth.Timeout):
        world.client(clock=None).maintain(4e9, timeout=0.01)


def test_subinterpreter_or_second_import_is_no_crash() -> None:
    run_python("import sys, hoopauth\ndel sys.modules['hoopauth']\nimport hoopauth")


def test_a_clock_of_the_programs_own() -> None:
    clock = Clock(1e9)
    client = hoopauth.Client(client_id="a-b", client_secret="c", store="memory:", clock=clock)
    assert (
        client.authorization_request(redirect_uri="https://a.example/", scopes="x").expires_at
        == 1e9 + 600
    )
