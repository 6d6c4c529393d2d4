"""The adapters for requests and httpx, by the same rules."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
import requests
from conftest import LOCATION, LOCATIONS, Server, World

import hoopauth

SCOPE = b'{"message":"The token is not authorized for this scope."}'
JWT = b'{"message":"Invalid JWT"}'


class ByRequests:
    def __init__(self, client: hoopauth.Client, account: str | None) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = client.requests_auth(account)

    def send(
        self, method: str, url: str, *, body: Any = None, files: Any = None, headers: Any = None
    ) -> Any:
        return self.session.request(
            method, url, data=body, files=files, headers=headers, timeout=60
        )

    def status(self, response: Any) -> int:
        return int(response.status_code)

    def end(self) -> None:
        self.session.close()


class ByHttpx:
    def __init__(self, client: hoopauth.Client, account: str | None) -> None:
        self.client = httpx.Client(
            auth=client.httpx_auth(account), trust_env=False, follow_redirects=True, timeout=60
        )

    def send(
        self, method: str, url: str, *, body: Any = None, files: Any = None, headers: Any = None
    ) -> Any:
        return self.client.request(method, url, content=body, files=files, headers=headers)

    def end(self) -> None:
        self.client.close()


class ByAsync:
    backend = "asyncio"

    def __init__(self, client: hoopauth.Client, account: str | None) -> None:
        self.auth = client.httpx_auth(account)

    def send(
        self, method: str, url: str, *, body: Any = None, files: Any = None, headers: Any = None
    ) -> Any:
        if hasattr(body, "read"):
            body = body.read()
        elif hasattr(body, "__next__"):
            body = asynchronous(body)

        async def sent() -> Any:
            async with httpx.AsyncClient(
                auth=self.auth, trust_env=False, follow_redirects=True, timeout=60
            ) as client:
                return await client.request(method, url, content=body, files=files, headers=headers)

        return anyio.run(sent, backend=self.backend)

    def end(self) -> None:
        pass


class ByTrio(ByAsync):
    backend = "trio"


async def asynchronous(parts: Any) -> Any:
    for part in parts:
        yield part


WAYS = [ByRequests, ByHttpx, ByAsync, ByTrio]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def via(request: pytest.FixtureRequest) -> Any:
    made: list[Any] = []

    def make(client: hoopauth.Client, account: str | None = None) -> Any:
        made.append(request.param(client, account))
        return made[-1]

    yield make
    for way in made:
        way.end()


Via = Callable[..., Any]


def token(headers: dict[str, str]) -> str:
    return headers["Authorization"]


def at(server: Server, world: World) -> hoopauth.Client:
    """A client whose API is a server that notes what comes."""
    client = world.client(api_base=server.url, default_account=LOCATION)
    client.import_grant(world.emulator.grant(LOCATION))
    return client


def refuse_first(server: Server, body: bytes = JWT) -> None:
    server.answer = lambda *_: (401, {}, body) if len(server.seen) == 1 else (200, {}, b"{}")


def test_a_request_is_authenticated(world: World, via: Via) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    response = via(client, LOCATION).send("GET", f"{world.emulator.api}/echo/x")
    assert response.status_code == 200
    assert response.hoopauth_error is None
    echoed = {name.lower(): value for name, value in response.json()["headers"].items()}
    assert echoed["authorization"] == token(client.headers("GET", LOCATION))
    assert (echoed["version"], echoed["user-agent"]) == (
        "2021-07-28",
        client.headers("GET", LOCATION)["User-Agent"],
    )


def test_an_ended_token_is_refreshed_first(world: World, via: Via) -> None:
    client = world.ended()
    response = via(client, LOCATION).send(
        "GET", f"{world.emulator.api}/locations/hoopLocation00000001"
    )
    assert response.status_code == 200
    assert world.emulator.statistics()["token_requests"] == 1


def test_a_revoked_token_is_refreshed_once_and_the_request_repeated(world: World, via: Via) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    way = via(client, LOCATION)
    world.emulator.control("revoke", {"account": LOCATION, "access": True, "refresh": False})
    response = way.send("GET", f"{world.emulator.api}/locations/hoopLocation00000001")
    assert response.status_code == 200
    assert response.hoopauth_error is None
    assert [before.status_code for before in response.history] == [401]
    assert world.emulator.statistics()["token_requests"] == 1


def test_a_good_answer_clears_the_mark_of_a_refused_token(server: Server, via: Via) -> None:
    client = hoopauth.Client(
        private_integration_token="pit-1",
        private_integration_token_next="pit-2",
        api_base=server.url,
        default_account=LOCATION,
    )
    refusal = b'{"statusCode":401,"message":"Invalid Private Integration token"}'
    other = client.report(client.headers("GET"), 401, body=refusal)
    assert other
    with pytest.raises(hoopauth.InvalidPrivateIntegration):
        client.report(other, 401, body=refusal)
    assert client.refused_private_integration_token == "private_integration_token_next"
    # It says nothing of limits.
    assert via(client).send("GET", server.url).status_code == 200
    assert client.refused_private_integration_token == "private_integration_token"


def test_what_a_program_set_itself_stays(world: World, server: Server, via: Via) -> None:
    way = via(at(server, world))
    own = {"Version": "v3", "Content-Type": "text/plain", "User-Agent": "mine"}
    way.send("POST", server.url, body=b"x", headers=own)
    way.send("POST", server.url, body=b"{}")
    way.send("POST", server.url, files={"file": ("a.txt", b"content")})
    sent = [
        {name.lower(): value for name, value in headers.items()} for _, _, headers, _ in server.seen
    ]
    assert [(s["version"], s["content-type"], s["user-agent"]) for s in sent[:1]] == [
        ("v3", "text/plain", "mine")
    ]
    assert (sent[1]["version"], sent[1]["content-type"]) == ("2021-07-28", "application/json")
    assert sent[1]["user-agent"].startswith("hoopauth/")
    assert sent[2]["content-type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize("kind", ["bytes", "file", "form", "none"])
def test_bodies_are_sent_again_whole(world: World, server: Server, via: Via, kind: str) -> None:
    refuse_first(server)
    sent: dict[str, Any] = {
        "bytes": {"body": b"content"},
        "file": {"body": io.BytesIO(b"content" * 1000)},
        "form": {"files": {"file": ("a.txt", io.BytesIO(b"content" * 1000))}},
        "none": {},
    }[kind]
    response = via(at(server, world)).send("POST", server.url, **sent)
    assert response.status_code == 200
    first, second = server.seen
    assert first[3] == second[3]
    assert kind == "none" or b"content" in first[3]
    assert first[2]["Authorization"] != second[2]["Authorization"]
    assert world.emulator.statistics()["token_requests"] == 1


def test_a_generator_is_not_sent_again_empty(world: World, server: Server, via: Via) -> None:
    refuse_first(server)
    client = at(server, world)
    before = token(client.headers())
    response = via(client, LOCATION).send("POST", server.url, body=iter([b"content", b"more"]))
    assert response.status_code == 401
    assert [body for *_, body in server.seen] == [b"contentmore"]
    error = response.hoopauth_error
    assert isinstance(error, hoopauth.HttpStatus)
    assert (error.status, error.retryable, error.account) == (401, True, LOCATION)
    assert "body can't be sent twice" in str(error)
    # The token is replaced all the same: the next request works.
    assert token(client.headers()) != before


@pytest.mark.parametrize(
    "row",
    [
        (401, SCOPE, hoopauth.InsufficientScope),
        (401, b'{"message":"Token\'s user type mismatch!"}', hoopauth.WrongTokenClass),
        (
            403,
            b'{"message":"The token does not have access to this location."}',
            hoopauth.WrongAccount,
        ),
        (429, b'{"message":"Too Many Requests"}', hoopauth.RateLimited),
    ],
)
def test_what_no_refresh_cures_spends_none(
    world: World, server: Server, via: Via, row: tuple[int, bytes, type[hoopauth.Error]]
) -> None:
    status, body, kind = row
    server.answer = lambda *_: (status, {}, body)
    response = via(at(server, world)).send("GET", server.url)
    assert (response.status_code, response.content) == (status, body)
    assert isinstance(response.hoopauth_error, kind)
    assert response.hoopauth_error.account == LOCATION
    assert len(server.seen) == 1
    assert world.emulator.statistics()["token_requests"] == 0


def test_a_refresh_that_is_refused_is_on_the_answer(world: World, via: Via) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    way = via(client, LOCATION)
    world.emulator.control("uninstall", {"account": LOCATION})
    response = way.send("GET", f"{world.emulator.api}/locations/hoopLocation00000001")
    assert response.status_code == 401
    assert isinstance(response.hoopauth_error, hoopauth.ReauthorizationRequired)


def test_a_refused_repeat_is_passed_on(world: World, server: Server, via: Via) -> None:
    server.answer = lambda *_: (401, {}, JWT)
    response = via(at(server, world)).send("GET", server.url)
    assert response.status_code == 401
    assert isinstance(response.hoopauth_error, hoopauth.HttpStatus)
    assert "the refreshed token, too" in str(response.hoopauth_error)
    assert len(server.seen) == 2
    assert world.emulator.statistics()["token_requests"] == 1


def test_no_grant_is_raised_before_anything_is_sent(world: World, server: Server, via: Via) -> None:
    with pytest.raises(hoopauth.NoGrant):
        via(at(server, world), LOCATIONS[1]).send("GET", server.url)
    assert not server.seen


def test_the_bearer_goes_to_no_other_host(
    world: World, server: Server, other_server: Server, via: Via
) -> None:
    way = via(at(server, world))
    assert way.send("GET", server.url).status_code == 200
    # One good request lets none pass that is not.
    odd = (
        ("/?x=file:///y",) if isinstance(way, ByRequests) else ("/?x=file:///y", "/\\evil")
    )  # requests writes `%5C`
    for rest in odd:
        with pytest.raises(hoopauth.InvalidArgument):
            way.send("GET", server.url + rest)
    assert len(server.seen) == 1
    server.seen.clear()
    for url in (
        other_server.url,
        server.url.replace("127.0.0.1", "localhost"),
        "http://user@example.com/",
    ):
        with pytest.raises(hoopauth.InvalidArgument, match="the token is not sent there"):
            way.send("GET", url)
    assert not other_server.seen
    assert not server.seen


def test_a_redirect_to_another_origin_loses_the_bearer(
    world: World, server: Server, other_server: Server, via: Via
) -> None:
    server.answer = lambda *_: (
        307,
        {"Location": other_server.url.replace("127.0.0.1", "localhost") + "/x"},
        b"",
    )
    # It asks for a refresh; nobody listens to it.
    other_server.answer = lambda *_: (401, {}, JWT)
    response = via(at(server, world)).send("GET", server.url)
    assert response.status_code == 401
    assert "Authorization" in server.seen[0][2]
    ((_, path, headers, _),) = other_server.seen
    assert path == "/x"
    assert "authorization" not in {name.lower() for name in headers}
    assert world.emulator.statistics()["token_requests"] == 0


def test_a_redirect_to_another_port_loses_the_bearer(
    world: World, server: Server, other_server: Server, via: Via
) -> None:
    server.answer = lambda *_: (302, {"Location": other_server.url}, b"")
    via(at(server, world)).send("GET", server.url)
    ((_, _, headers, _),) = other_server.seen
    assert "authorization" not in {name.lower() for name in headers}


def test_a_redirect_within_the_api_keeps_it(world: World, server: Server, via: Via) -> None:
    server.answer = lambda _, path, *__: (
        (302, {"Location": "/there"}, b"") if path == "/" else (200, {}, b"{}")
    )
    assert via(at(server, world)).send("GET", server.url + "/").status_code == 200
    assert len({headers["Authorization"] for _, _, headers, _ in server.seen}) == 1


def test_what_was_carried_out_is_not_sent_again(world: World, server: Server, via: Via) -> None:
    refused = [(401, {}, JWT)]

    def answer(method: str, path: str, *_: Any) -> Any:
        if path == "/done":
            return 303, {"Location": "/result"}, b""
        return refused.pop() if refused else (200, {}, b"{}")

    server.answer = answer
    assert via(at(server, world)).send("POST", server.url + "/done", body=b"{}").status_code == 200
    seen = [(method, path) for method, path, *_ in server.seen]
    assert seen == [("POST", "/done"), ("GET", "/result"), ("GET", "/result")]


def test_a_repeat_that_is_refused_otherwise_is_told(world: World, server: Server, via: Via) -> None:
    tenant = (403, {}, b'{"message":"The token does not have access to this location."}')
    refused = [tenant, (401, {}, JWT)]
    server.answer = lambda *_: refused.pop()
    response = via(at(server, world)).send("GET", server.url)
    assert response.status_code == 403
    assert isinstance(response.hoopauth_error, hoopauth.WrongAccount)


def test_a_stream_is_left_alone(world: World, server: Server) -> None:
    server.answer = lambda *_: (200, {}, b"content")
    client = at(server, world)
    with requests.get(server.url, auth=client.requests_auth(), stream=True, timeout=60) as response:
        assert not response._content_consumed  # type: ignore[attr-defined]
    with (
        httpx.Client(auth=client.httpx_auth(), trust_env=False) as http,
        http.stream("GET", server.url) as streamed,
    ):
        assert not streamed.is_stream_consumed
        assert streamed.read() == b"content"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_event_loop_never_waits_for_a_refresh(world: World, backend: str) -> None:
    client = world.ended()
    world.emulator.hold()

    async def main() -> int:
        async with httpx.AsyncClient(
            auth=client.httpx_auth(LOCATION), trust_env=False, timeout=60
        ) as http:
            statuses: list[int] = []

            async def get() -> None:
                response = await http.get(f"{world.emulator.api}/locations/hoopLocation00000001")
                statuses.append(response.status_code)

            async with anyio.create_task_group() as group:
                group.start_soon(get)
                # The loop goes on while the refresh is held; else this would never be reached.
                assert await anyio.to_thread.run_sync(world.emulator.held)
                await anyio.to_thread.run_sync(world.emulator.release)
            return statuses[0]

    assert anyio.run(main, backend=backend) == 200
    assert world.emulator.statistics()["token_requests"] == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_task_ends_and_the_refresh_goes_on(world: World, backend: str) -> None:
    client = world.ended()
    world.emulator.hold()

    async def main() -> None:
        async with httpx.AsyncClient(
            auth=client.httpx_auth(LOCATION), trust_env=False, timeout=60
        ) as http:
            async with anyio.create_task_group() as group:
                group.start_soon(http.get, f"{world.emulator.api}/locations/hoopLocation00000001")
                assert await anyio.to_thread.run_sync(world.emulator.held)
                group.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    world.emulator.release()
    assert client.headers("GET", LOCATION)
    assert world.emulator.statistics()["token_requests"] == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cached_headers_take_no_thread(
    world: World, server: Server, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = at(server, world)

    async def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a thread was asked for")

    async def main() -> int:
        async with httpx.AsyncClient(auth=client.httpx_auth(), trust_env=False, timeout=60) as http:
            monkeypatch.setattr("hoopauth._httpx.in_thread", refused)
            return (await http.get(server.url)).status_code

    assert anyio.run(main, backend=backend) == 200


def test_many_threads_of_requests_share_one_refresh(world: World) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    world.emulator.control("revoke", {"account": LOCATION, "access": True, "refresh": False})
    statuses: list[int] = []

    def get() -> None:
        url = f"{world.emulator.api}/locations/hoopLocation00000001"
        with requests.Session() as session:
            session.trust_env = False
            statuses.append(
                session.get(url, auth=client.requests_auth(LOCATION), timeout=60).status_code
            )

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert world.emulator.statistics()["token_requests"] == 1
