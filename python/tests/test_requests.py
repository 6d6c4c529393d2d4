"""`Client.request`, and what goes with it: limits, operations, installed locations."""

from __future__ import annotations

import json
import pickle
import threading
import time
from typing import Any

import httpx
import pytest
import requests
from conftest import (
    COMPANY,
    LOCATION,
    LOCATIONS,
    PRIVATE_INTEGRATION,
    ROOT,
    Emulator,
    Server,
    World,
    run_python,
)

import hoopauth
from hoopauth import scopes

SCOPE = b'{"message":"The token is not authorized for this scope."}'
LIMITS = {
    "X-RateLimit-Limit-Daily": "200000",
    "X-RateLimit-Daily-Remaining": "199999",
    "X-RateLimit-Interval-Milliseconds": "10000",
    "X-RateLimit-Max": "100",
    "X-RateLimit-Remaining": "99",
}


def at(server: Server, **options: Any) -> hoopauth.Client:
    options.setdefault("default_account", LOCATION)
    return hoopauth.Client(access_token="token", api_base=server.url, **options)


def by_httpx(client: hoopauth.Client, url: str) -> Any:
    with httpx.Client(auth=client.httpx_auth(), trust_env=False) as http:
        return http.get(url)


def sent(server: Server) -> tuple[str, str, dict[str, str], bytes]:
    method, path, headers, body = server.seen[-1]
    return method, path, {name.lower(): value for name, value in headers.items()}, body


def test_a_request_has_its_accounts_headers(server: Server) -> None:
    server.answer = lambda *_: (200, {"X-Thing": "one"}, '{"name":"Zoë"}'.encode())
    response = at(server).request("get", "/contacts/")
    assert (response.status, response.json()) == (200, {"name": "Zoë"})
    assert response.content.decode() == response.text == '{"name":"Zoë"}'
    assert response.headers["x-THING"] == "one"
    method, path, headers, body = sent(server)
    assert (method, path, body) == ("GET", "/contacts/", b"")
    assert (headers["authorization"], headers["version"]) == ("Bearer token", "2021-07-28")
    assert headers["user-agent"] == f"hoopauth/{hoopauth.__version__} (python)"


def test_parameters_in_pythons_own_types(server: Server) -> None:
    client = at(server)
    client.request(
        "GET",
        "/a",
        params={"q": "a&b c", "n": 1, "f": 1.5, "t": True, "no": None, "l": ["x", 2, False]},
    )
    assert sent(server)[1] == "/a?q=a%26b%20c&n=1&f=1.5&t=true&l=x&l=2&l=false"
    client.request("GET", "/a", params=[("q", "1"), ("q", "2")])
    assert sent(server)[1] == "/a?q=1&q=2"
    for wrong in ({"q": object()}, {1: "a"}, "ab", 7, [("a",)], {"q": [None]}):
        with pytest.raises(hoopauth.InvalidArgument, match="`params`"):
            client.request("GET", "/a", params=wrong)


def test_bodies(server: Server) -> None:
    client = at(server)
    for method in ("POST", "DELETE"):
        client.request(method, "/a", json={"name": "Zoë", "n": [1, None]})
        _, _, headers, body = sent(server)
        assert (body.decode(), headers["content-type"]) == (
            '{"name":"Zoë","n":[1,null]}',
            "application/json",
        )
    for data in (b"\x00\xff", bytearray(b"\x00\xff")):
        client.request("PUT", "/a", data=data, headers={"content-type": "application/octet-stream"})
        _, _, headers, body = sent(server)
        assert (body, headers["content-type"]) == (b"\x00\xff", "application/octet-stream")
    client.request("POST", "/a", data="Zoë")
    assert sent(server)[3] == "Zoë".encode()
    count = len(server.seen)
    for wrong in (object(), float("nan"), "\ud800", {1: {2: {object()}}}):
        with pytest.raises(hoopauth.InvalidArgument, match="`json`") as raised:
            client.request("POST", "/a", json=wrong)
        assert raised.value.__cause__
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(hoopauth.InvalidArgument, match="`json`"):
        client.request("POST", "/a", json=loop)
    with pytest.raises(hoopauth.InvalidArgument, match="not both"):
        client.request("POST", "/a", json={}, data=b"")
    with pytest.raises(TypeError):
        client.request("POST", "/a", data=1)  # type: ignore[arg-type]
    assert len(server.seen) == count


def test_headers_of_the_callers_own(server: Server) -> None:
    client = at(server)
    mixed: Any = {"X-One": "1", b"X-Two": b"2"}
    client.request("GET", "/a", headers=mixed, version="2021-04-15")
    _, _, headers, _ = sent(server)
    assert (headers["x-one"], headers["x-two"], headers["version"]) == ("1", "2", "2021-04-15")
    for wrong in (
        {"Authorization": "Bearer other"},
        {"version": "x"},
        {"X": "a\r\nb: c"},
        {"X": 1},
        [("X",)],
        3,
    ):
        with pytest.raises(hoopauth.InvalidArgument):
            client.request("GET", "/a", headers=wrong)  # type: ignore[arg-type]
    for path in ("/a/../b", "//elsewhere/", "https://elsewhere.example/", "/a b", "a"):
        with pytest.raises(hoopauth.InvalidArgument):
            client.request("GET", path)
    assert len(server.seen) == 1


def test_a_refusal_has_the_answer(server: Server) -> None:
    client = at(server)
    server.answer = lambda *_: (
        404,
        {"X-Why": "gone"},
        b'{"message":"no such contact","traceId":"t1"}',
    )
    with pytest.raises(hoopauth.HttpStatus) as raised:
        client.request("GET", "/contacts/1")
    error = raised.value
    assert (error.status, error.trace_id, error.account) == (404, "t1", LOCATION)
    assert error.response
    assert (error.response.status, error.response.headers["x-why"]) == (404, "gone")
    assert error.response.json()["message"] == "no such contact"
    back = pickle.loads(pickle.dumps(error))
    assert (back.response.status, back.response.content) == (404, error.response.content)
    assert dict(back.response.headers) == dict(error.response.headers)
    assert client.request("GET", "/contacts/1", any_status=True).status == 404

    server.answer = lambda *_: (401, {}, SCOPE)
    with pytest.raises(hoopauth.InsufficientScope) as refused:
        client.request("GET", "/contacts/1")
    assert refused.value.response
    assert refused.value.response.content == SCOPE
    with pytest.raises(hoopauth.NoGrant) as before:
        hoopauth.Client(client_id="a-b", client_secret="c", store="memory:").request(
            "GET", "/a", account=LOCATION
        )
    assert before.value.response is None


def test_a_refused_token_is_cured(world: World) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    world.emulator.control("revoke", {"account": LOCATION, "access": True, "refresh": False})
    response = client.request("GET", "/locations/hoopLocation00000001", account=LOCATION)
    assert response.status == 200
    assert world.emulator.statistics()["token_requests"] == 1


def test_what_may_be_sent_twice_is_tried_again(server: Server) -> None:
    client = at(server)

    def second_time_lucky(*_: Any) -> Any:
        return (503, {"Retry-After": "0"}, b"") if len(server.seen) % 2 else (200, {}, b"{}")

    server.answer = second_time_lucky
    assert client.request("GET", "/a").status == 200
    assert client.request("POST", "/a", json={}, repeatable=True).status == 200
    with pytest.raises(hoopauth.HttpStatus) as raised:
        client.request("POST", "/a", json={})
    assert raised.value.status == 503
    assert len(server.seen) == 5


def test_a_body_that_is_too_long_is_refused(server: Server) -> None:
    server.answer = lambda *_: (200, {}, b"x" * 1000)
    client = at(server)
    assert len(client.request("GET", "/a", max_body=1000).content) == 1000
    with pytest.raises(hoopauth.MalformedResponse):
        client.request("GET", "/a", max_body=999)
    with pytest.raises(hoopauth.InvalidArgument):
        client.request("GET", "/a", max_body=-1)


def test_a_body_that_is_no_json(server: Server) -> None:
    server.answer = lambda *_: (200, {}, b"<html>\xff")
    response = at(server).request("GET", "/a")
    assert response.text == "<html>\ufffd"
    with pytest.raises(hoopauth.MalformedResponse) as raised:
        response.json()
    assert isinstance(raised.value.__cause__, ValueError)


def test_the_timeout_is_the_requests_own(server: Server) -> None:
    gate = threading.Event()
    server.answer = lambda *_: (gate.wait(60), (200, {}, b"{}"))[1]
    client = at(server, timeout=60)
    with pytest.raises(hoopauth.Timeout):
        client.request("GET", "/a", timeout=0.05)
    with pytest.raises(hoopauth.Timeout):
        client.request("GET", "/a", context=hoopauth.Context(0.05))
    gate.set()
    assert client.request("GET", "/a", timeout=float("inf")).status == 200
    for wrong in (-1, float("nan")):
        with pytest.raises(hoopauth.InvalidArgument, match="`timeout`"):
            client.request("GET", "/a", timeout=wrong)


def test_other_threads_run_meanwhile(server: Server) -> None:
    client = at(server)
    asked, gate = threading.Event(), threading.Event()

    def answer(*_: Any) -> Any:
        # The server's thread needs the interpreter, too.
        asked.set()
        gate.wait(60)
        return 200, {}, b"{}"

    server.answer = answer
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(client.request("GET", "/a").status))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    assert asked.wait(60)
    gate.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4


def test_ctrl_c_ends_a_request() -> None:
    code = """
import hoopauth, os, signal, socket, threading
listener = socket.create_server(("127.0.0.1", 0))
def interrupt():
    listener.accept()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
signal.signal(signal.SIGINT, signal.default_int_handler)
client = hoopauth.Client(access_token="a", api_base=f"http://127.0.0.1:{listener.getsockname()[1]}",
                         default_account="location:a", timeout=2)
try:
    client.request("GET", "/a", timeout=1)
except KeyboardInterrupt:
    print("interrupted")
"""
    assert run_python(code).stdout == "interrupted\n"


def test_a_forked_child_sends_its_own(server: Server) -> None:
    code = """
import hoopauth, os, sys
client = hoopauth.Client(access_token="a", api_base=sys.argv[1], default_account="location:a")
assert client.request("GET", "/parent").status == 200
child = os.fork()
if child == 0:
    os._exit(0 if client.request("GET", "/child").status == 200 else 1)
assert os.waitpid(child, 0)[1] == 0
assert client.request("GET", "/parent").status == 200
"""
    run_python(code, server.url)
    assert [path for _, path, *_ in server.seen] == ["/parent", "/child", "/parent"]


def test_responses_are_made_by_hand_too() -> None:
    pairs = [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X-A", "")]
    response = hoopauth.Response(200, pairs, b"[1]")
    assert response.headers["SET-COOKIE"] == "a=1, b=2"
    assert response.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    assert response.headers.get_list("none") == []
    assert (list(response.headers), len(response.headers)) == (["set-cookie", "x-a"], 2)
    assert "X-a" in response.headers
    assert response.headers.get("none") is None
    with pytest.raises(KeyError):
        response.headers["none"]
    assert isinstance(response.headers, hoopauth.ResponseHeaders)
    assert response.json() == [1]
    assert "a=1" not in repr(response) + repr(response.headers)
    for wrong in (99, 600, -1, 2**70):
        with pytest.raises(hoopauth.InvalidArgument):
            hoopauth.Response(wrong)


def test_rate_limits_are_told(server: Server) -> None:
    server.answer = lambda *_: (200, LIMITS, b"{}")
    for send in (
        lambda client: client.request("GET", "/a"),
        lambda client: requests.get(server.url, auth=client.requests_auth(), timeout=60),
        lambda client: by_httpx(client, server.url),
        lambda client: client.report(client.headers(), 200, LIMITS, b"{}"),
    ):
        client = at(server)
        assert client.rate_limit(LOCATION) is None
        before = time.time()
        send(client)
        limit = client.rate_limit(LOCATION)
        assert limit
        assert (limit.limit, limit.remaining, limit.interval) == (100, 99, 10.0)
        assert (limit.daily_limit, limit.daily_remaining, limit.daily_reset) == (
            200_000,
            199_999,
            None,
        )
        assert abs(limit.seen_at - before) < 60
        assert repr(limit) == "<hoopauth.RateLimit remaining=99 daily_remaining=199999>"
        assert client.rate_limit(LOCATIONS[1]) is None


def test_a_report_that_knows_the_request_names_the_scope(world: World, server: Server) -> None:
    client = world.client(api_base=server.url, default_account=LOCATION)
    client.import_grant(world.emulator.grant(LOCATION))
    url = f"{server.url}/contacts/abc"
    with pytest.raises(hoopauth.InsufficientScope, match=r"contacts\.readonly"):
        client.report(client.headers(), 401, {}, SCOPE, "GET", url)
    with pytest.raises(hoopauth.InsufficientScope) as unnamed:
        client.report(client.headers(), 401, {}, SCOPE)
    assert "contacts.readonly" not in str(unnamed.value)
    server.answer = lambda *_: (401, {}, SCOPE)
    by_requests: Any = requests.get(url, auth=client.requests_auth(), timeout=60)
    for response in (by_requests, by_httpx(client, url)):
        assert "contacts.readonly" in str(response.hoopauth_error)


def test_operations() -> None:
    found = hoopauth.operation("GET", "/contacts/abc?x=1")
    assert found
    assert (found.method, found.path, found.scope) == (
        "GET",
        "/contacts/{contactId}",
        "contacts.readonly",
    )
    assert found.version == "2021-07-28"
    assert "location" in found.classes
    assert found == hoopauth.operation("GET", "/contacts/{contactId}")
    assert hoopauth.operation("GET", "/no/such/thing") is None
    wanted = ["GET /contacts/{contactId}", "POST /contacts/", "GET /contacts/other"]
    assert hoopauth.scopes_for(wanted) == ["contacts.readonly", "contacts.write"]
    with pytest.raises(hoopauth.InvalidArgument, match="no/such"):
        hoopauth.scopes_for(["GET /no/such/thing"])


def test_the_named_scopes_are_the_cores() -> None:
    described = json.loads((ROOT / "bindings" / "api.json").read_text())["scopes"]
    assert {name: getattr(scopes, name) for name in scopes.__all__} == {
        scope["name"]: scope["value"] for scope in described
    }
    assert hoopauth.scopes is scopes


def installed(world: World) -> hoopauth.Client:
    client = world.client()
    client.import_grant(world.emulator.grant(COMPANY))
    return client


def test_all_locations_of_a_company(world: World) -> None:
    client = installed(world)
    locations = client.installed_locations(COMPANY)
    assert sorted(location.account for location in locations) == sorted(LOCATIONS)
    assert all(location.installed for location in locations)
    assert repr(locations[0]) == f"<hoopauth.InstalledLocation {locations[0].account}>"
    with pytest.raises(hoopauth.InvalidArgument):
        client.installed_locations("somebody")

    seen: list[hoopauth.MintProgress] = []
    summary = client.mint_all(COMPANY, seen.append)
    assert (summary.minted, summary.kept, summary.failed) == (3, 0, 0)
    assert sorted(step.account for step in seen) == sorted(LOCATIONS)
    assert [step.summary.minted for step in seen] == [1, 2, 3]
    assert seen[-1].summary == summary
    assert [step.error for step in seen] == [None] * 3
    again = client.mint_all(COMPANY)
    assert (again.minted, again.kept, again.failed) == (0, 3, 0)


def test_minting_is_ended_by_its_progress(world: World) -> None:
    client = installed(world)
    assert client.mint_all(COMPANY, lambda step: False).minted == 1

    class Enough(Exception):
        pass

    def raises(step: hoopauth.MintProgress) -> None:
        raise Enough(step.account)

    with pytest.raises(Enough):
        client.mint_all(COMPANY, raises)
    minted = world.emulator.statistics()["location_token_requests"]
    assert minted <= 2
    # It goes on where it was.
    summary = client.mint_all(COMPANY)
    assert (summary.minted + summary.kept, summary.failed) == (3, 0)
    assert world.emulator.statistics()["location_token_requests"] == 3


def test_minting_does_not_go_on_without_its_caller(world: World) -> None:
    client = installed(world)
    context, left = hoopauth.Context(), threading.Event()

    def progress(step: hoopauth.MintProgress) -> None:
        context.cancel()
        assert left.wait(60)

    with pytest.raises(hoopauth.Cancelled):
        client.mint_all(COMPANY, progress, context=context)
    left.set()
    # It waits for what goes on.
    client.close()
    assert world.emulator.statistics()["location_token_requests"] == 1


def test_a_refused_private_integration_token_is_named(one_emulator: Emulator) -> None:
    other = "pit-10ca7100-0000-4000-8000-00000000beef"
    client = hoopauth.Client(
        private_integration_token=other,
        private_integration_token_next=PRIVATE_INTEGRATION,
        api_base=one_emulator.api,
        default_account=LOCATION,
    )
    assert client.refused_private_integration_token is None
    assert client.request("GET", "/locations/hoopLocation00000001").status == 200
    assert client.refused_private_integration_token == "private_integration_token"
