"""Webhooks: the verifier, and the requests of web frameworks."""

from __future__ import annotations

import base64
import datetime as dt
import gc
import hashlib
import hmac
import io
import json
import threading
from collections.abc import Callable
from typing import Any

import anyio
import django
import fastapi
import flask
import httpx
import pytest
import starlette.applications
import starlette.requests
import starlette.responses
import starlette.routing
from conftest import COMPANY, LOCATION, PRIVATE_INTEGRATION, Clock, World, run_python
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest

import hoopauth

SECRET = "a-planted-secret-of-this-webhook"
APP = "65f0a1b2c3d4e5f607182930"
NOW = 1_790_000_000.0
# White space, the order of members and an escape that no serialiser would write like this.
BODY = (
    b'{ "webhookId" : "w-1",\n  "type":"ContactCreate","locationId": "abc",  '
    b'"timestamp":"2026-09-21T13:33:20.250Z",'
    b' "name":"Zo\\u00eb", "n":1.0 }\r\n'
)

settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")
django.setup()
urlpatterns: list[Any] = []


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verifier(**options: Any) -> hoopauth.WebhookVerifier:
    options = {"any_app": True, "clock": Clock(NOW), **options}
    return hoopauth.WebhookVerifier([hoopauth.WebhookKey("hmac-sha256", "mine", SECRET)], **options)


def headers(body: bytes = BODY) -> dict[str, str]:
    return {"Content-Type": "application/json", "X-WL-Signature": signature(body)}


def test_a_delivery_says_what_came() -> None:
    delivery = verifier().verify(headers(), BODY)
    assert (delivery.type, delivery.webhook_id, delivery.account) == (
        "ContactCreate",
        "w-1",
        "location:abc",
    )
    assert delivery.timestamp == dt.datetime(2026, 9, 21, 13, 33, 20, 250_000, dt.timezone.utc)
    assert delivery.timestamp.tzinfo is dt.timezone.utc
    assert (delivery.key, delivery.app_id) == ("mine", None)
    assert delivery.body == BODY
    assert delivery.json() == {**json.loads(BODY)}
    assert repr(delivery) == '<hoopauth.WebhookDelivery "ContactCreate" "w-1">'


@pytest.mark.parametrize(
    "shape",
    [
        lambda s: {"x-wl-signature": s},
        lambda s: {"X-WL-SIGNATURE": s.encode()},
        lambda s: {b"X-Wl-Signature": s.encode()},
        lambda s: [("a", "b"), ("x-wl-signature", s)],
        lambda s: [(b"a", b"\xff"), (b"x-wl-signature", s.encode())],
        lambda s: iter([["X-Hook-Signature", s]]),
        lambda s: {"x-wl-signature": [s]},
        lambda s: {
            "REQUEST_METHOD": "POST",
            "wsgi.input": io.BytesIO(),
            "HTTP_X_WL_SIGNATURE": s,
            "n": 1,
        },
        lambda s: {"HTTP_X_WL_SIGNATURE": s},
        lambda s: httpx.Headers({"X-WL-Signature": s}),
    ],
)
def test_headers_in_every_shape(shape: Callable[[str], Any]) -> None:
    assert verifier().verify_signature(shape(signature(BODY)), BODY) == "mine"
    with pytest.raises(hoopauth.SignatureInvalid):
        verifier().verify_signature(shape(signature(BODY + b" ")), BODY)


def test_nothing_that_is_unsigned_or_changed_passes() -> None:
    mine = verifier()
    for unsigned in (
        {},
        {"x-wl-signature": ""},
        {"x-wl-signature": "N/A"},
        {"x-other": signature(BODY)},
        [],
    ):
        with pytest.raises(hoopauth.SignatureMissing):
            mine.verify(unsigned, BODY)
    good = signature(BODY)
    for forged in ("0" * 64, good[:-1], good + "0", "é", "sha1=" + good):
        with pytest.raises(hoopauth.SignatureInvalid):
            mine.verify({"x-wl-signature": forged}, BODY)
    with pytest.raises(hoopauth.SignatureInvalid):
        mine.verify([("x-wl-signature", good), ("X-WL-Signature", "0" * 64)], BODY)
    with pytest.raises(hoopauth.SignatureInvalid):
        mine.verify({"x-wl-signature": [good, "0" * 64]}, BODY)
    with pytest.raises(hoopauth.SignatureInvalid):
        mine.verify(headers(), json.dumps(json.loads(BODY)).encode())
    # None of this has claimed it.
    assert mine.verify(headers(), BODY).webhook_id == "w-1"


def test_what_is_no_header_or_body_is_refused() -> None:
    mine = verifier()
    for wrong in (
        None,
        7,
        "text",
        {"x-wl-signature": None},
        {"x-wl-signature": 1},
        [("a",)],
        {1: "a"},
        {"a": "\ud800"},
    ):
        with pytest.raises(hoopauth.InvalidArgument, match="`headers`"):
            mine.verify(wrong, BODY)  # type: ignore[arg-type]
    for wrong_body in (BODY.decode(), json.loads(BODY), None):
        with pytest.raises(hoopauth.InvalidArgument, match="raw bytes"):
            mine.verify(headers(), wrong_body)
    for body in (bytearray(BODY), memoryview(BODY)):
        assert mine.verify_signature(headers(), body) == "mine"


def test_a_delivery_is_handled_once() -> None:
    mine = verifier()
    with mine.verify(headers(), BODY) as delivery:
        assert delivery.webhook_id == "w-1"
        with pytest.raises(hoopauth.LeaseTimeout) as meanwhile:
            mine.verify(headers(), BODY)
        assert meanwhile.value.retry_after
    with pytest.raises(hoopauth.WebhookReplayed):
        mine.verify(headers(), BODY)


def test_a_delivery_that_failed_comes_again() -> None:
    mine = verifier()
    with pytest.raises(ZeroDivisionError):
        with mine.verify(headers(), BODY):
            raise ZeroDivisionError
    delivery = mine.verify(headers(), BODY)
    delivery.release()
    delivery = mine.verify(headers(), BODY)
    # Whoever lets it go without a word has not handled it.
    del delivery
    gc.collect()
    with mine.verify(headers(), BODY) as delivery:
        delivery.release()
    with mine.verify(headers(), BODY) as delivery:
        delivery.confirm()
        delivery.confirm()
    with pytest.raises(hoopauth.WebhookReplayed):
        mine.verify(headers(), BODY)


def test_one_of_many_threads_handles_it() -> None:
    mine = verifier()
    outcomes: list[str] = []

    def handle() -> None:
        try:
            mine.verify(headers(), BODY).confirm()
            outcomes.append("handled")
        except (hoopauth.WebhookReplayed, hoopauth.LeaseTimeout) as refused:
            outcomes.append(type(refused).__name__)

    threads = [threading.Thread(target=handle) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count("handled"), len(outcomes)) == (1, 16)


def test_age() -> None:
    with pytest.raises(hoopauth.WebhookStale):
        verifier(clock=Clock(NOW + 301), max_age=300).verify(headers(), BODY)
    with pytest.raises(hoopauth.WebhookStale):
        verifier(clock=Clock(NOW - 86_400)).verify(headers(), BODY)
    assert verifier(clock=Clock(NOW + 86_400)).verify(headers(), BODY)


def test_what_is_no_event() -> None:
    for body in (b"[]", b"{", b'{"type":"A",}', b"\xff", b'{"a":' + b"[" * 600 + b"]" * 600 + b"}"):
        with pytest.raises(hoopauth.WebhookMalformed, match="answer 400"):
            verifier().verify(headers(body), body)


def test_a_genuine_body_is_delivered_however_it_looks() -> None:
    deep = b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"
    for body in (
        b'{"_id":"inv1","status":"paid","altId":"L1","altType":"location","total":999}',
        b'{"type":"A","webhookId":1,"locationId":2,"companyId":3,"appId":4,"timestamp":1790000000}',
        b'\xef\xbb\xbf{"type":"A"}',
        b'{"type":"A","a":1,"a":2,"b":1e999,"c":' + b"9" * 5000 + b"}",
        deep,
    ):
        delivery = verifier().verify(headers(body), body)
        assert delivery.body == body
        assert isinstance(delivery.json(), dict)
    delivery = verifier().verify(
        headers(body := b'{"_id":1,"altId":"L1","altType":"location","b":1e999}'), body
    )
    assert (delivery.type, delivery.account, delivery.app_id) == ("", "location:L1", None)
    assert delivery.json()["b"] == "1e999"
    body = b'{"type":"A","webhookId":1,"locationId":2,"appId":4,"timestamp":1790000000.25}'
    delivery = verifier().verify(headers(body), body)
    assert (delivery.webhook_id, delivery.account, delivery.app_id) == ("1", "location:2", "4")
    assert delivery.timestamp == dt.datetime.fromtimestamp(NOW + 0.25, dt.timezone.utc)


def test_half_an_emoji_is_a_character_that_can_be_stored() -> None:
    for escaped, text in (
        (rb"cut \ud83e", "cut \ufffd"),
        (rb"\udd17 cut", "\ufffd cut"),
        (rb"\ud83e\udd17", "\U0001f917"),
        (rb"\\ud83e", "\\ud83e"),
    ):
        body = b'{"type":"A","body":"' + escaped + b'","\\ud83e":1}'
        found = verifier().verify(headers(body), body).json()
        assert (found["body"], list(found)[-1]) == (text, "\ufffd")
        json.dumps(found, ensure_ascii=False).encode()


def test_without_a_time_a_shared_secret_is_enough() -> None:
    body = b'{"type":"ContactCreate","locationId":"L1","id":"c1","name":"A B"}'
    assert verifier(app_id=APP, any_app=False).verify(headers(body), body).type == "ContactCreate"
    with pytest.raises(hoopauth.WebhookStale, match="without_timestamp"):
        verifier(without_timestamp=False).verify(headers(body), body)


def test_a_second_uninstallation_is_no_repetition() -> None:
    clock = Clock(NOW)
    mine = verifier(app_id=APP, any_app=False, clock=clock)
    body = json.dumps({"type": "UNINSTALL", "appId": APP, "locationId": "L1"}).encode()
    for _ in range(2):
        mine.verify(headers(body), body).confirm()
        with pytest.raises(hoopauth.WebhookReplayed, match="200"):
            mine.verify(headers(body), body)
        clock.advance(86_400)


def test_foreign_events_have_a_code_of_their_own(world: World) -> None:
    client = world.client()
    mine = client.webhook_verifier(keys(world))
    location = LOCATION.partition(":")[2]
    unnamed = {"type": "ContactCreate", "appId": None, "locationId": location}
    for event in (
        unnamed,
        {"appId": "another"},
        {"type": "INSTALL", "appId": None, "locationId": location},
    ):
        with pytest.raises(hoopauth.WebhookForeign, match="answer 200") as raised:
            mine.verify(*signed(world, **event))
        assert (raised.value.code, raised.value.name) == (65, "WEBHOOK_FOREIGN")
    client.import_grant(world.emulator.grant(LOCATION))
    assert mine.verify(*signed(world, **unnamed)).account == LOCATION
    # Without a client there are no grants to look at.
    alone = hoopauth.WebhookVerifier(keys(world), app_id=APP, clock=world.clock)
    made = world.emulator.control("webhooks/sign", {"event": unnamed, "schemes": ["ed25519"]})
    with pytest.raises(hoopauth.WebhookForeign, match="no client"):
        alone.verify(made["headers"], made["body"].encode())


def test_keys() -> None:
    key = hoopauth.WebhookKey("hmac-sha256", "mine", SECRET)
    assert (key.scheme, key.label) == ("hmac-sha256", "mine")
    assert repr(key) == '<hoopauth.WebhookKey hmac-sha256 "mine">'
    for scheme, text in (
        ("hmac-sha256", "short"),
        ("md5", SECRET),
        ("ed25519", "no key"),
        ("rsa-sha256", "-----"),
    ):
        with pytest.raises(hoopauth.Config) as raised:
            hoopauth.WebhookKey(scheme, "a", text)  # type: ignore[arg-type]
        assert text not in str(raised.value) or text == "-----"
    utc = dt.timezone.utc
    for before, after, counts in (
        (NOW - 1, NOW + 1, True),
        (NOW + 1, None, False),
        (None, NOW - 1, False),
        (dt.datetime.fromtimestamp(NOW - 1, utc), dt.datetime.fromtimestamp(NOW + 1, utc), True),
        (dt.datetime.fromtimestamp(NOW + 1, utc), None, False),
    ):
        key = hoopauth.WebhookKey("hmac-sha256", "mine", SECRET, before, after)
        mine = hoopauth.WebhookVerifier([key], any_app=True, clock=Clock(NOW))
        if counts:
            assert mine.verify_signature(headers(), BODY) == "mine"
        else:
            with pytest.raises((hoopauth.SignatureMissing, hoopauth.SignatureInvalid)):
                mine.verify_signature(headers(), BODY)
    for moment in (dt.datetime(2026, 1, 1), float("nan"), "2026-01-01", -1):
        with pytest.raises(hoopauth.InvalidArgument, match="`not_before`"):
            hoopauth.WebhookKey("hmac-sha256", "a", SECRET, moment)  # type: ignore[arg-type]


def test_options() -> None:
    assert list(hoopauth.WebhookOptions.__annotations__) == hoopauth.WEBHOOK_OPTIONS
    for name in hoopauth.WEBHOOK_OPTIONS:
        with pytest.raises(hoopauth.Config, match=name):
            verifier(**{name: ""})
    with pytest.raises(hoopauth.Config, match="no_such"):
        verifier(no_such=1)
    with pytest.raises(hoopauth.Config, match="app_id"):
        hoopauth.WebhookVerifier()
    with pytest.raises(TypeError):
        hoopauth.WebhookVerifier(["key"], any_app=True)  # type: ignore[list-item]
    assert hoopauth.WebhookVerifier(app_id=APP, max_age=None)
    shown = repr(verifier()) + repr(
        hoopauth.Client(access_token="a").webhook_verifier(any_app=True)
    )
    assert SECRET not in shown
    with pytest.raises(hoopauth.CallbackFailed) as raised:
        verifier(clock=Broken()).verify(headers(), BODY)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


class Broken:
    def now(self) -> float:
        raise ZeroDivisionError

    def monotonic(self) -> float:
        return 1.0


def keys(world: World) -> list[hoopauth.WebhookKey]:
    found = world.emulator.control("webhooks/keys")["keys"]
    return [hoopauth.WebhookKey(key["scheme"], key["label"], key["key"]) for key in found]


def signed(world: World, **event: Any) -> tuple[list[list[str]], bytes]:
    made = world.emulator.control("webhooks/sign", {"event": event})
    return made["headers"], made["body"].encode()


def test_a_clients_verifier_knows_its_app_and_remembers_for_all(world: World) -> None:
    client, another = world.client(), world.client()
    fields, body = signed(world, type="ContactCreate", locationId="abc")
    delivery = client.webhook_verifier(keys(world)).verify(fields, body)
    assert (delivery.app_id, delivery.key) == (APP, "emulator-1")
    delivery.confirm()
    with pytest.raises(hoopauth.WebhookReplayed):
        client.webhook_verifier(keys(world)).verify(fields, body)
    # Another memory store is another memory.
    assert another.webhook_verifier(keys(world)).verify(fields, body)
    foreign, foreign_body = signed(world, type="ContactCreate", appId="another")
    with pytest.raises(hoopauth.WebhookForeign):
        client.webhook_verifier(keys(world)).verify(foreign, foreign_body)
    client.close()
    with pytest.raises(hoopauth.InvalidState):
        client.webhook_verifier(keys(world)).verify(*signed(world, type="ContactCreate"))


def test_what_is_called_off_claims_and_confirms_nothing(world: World) -> None:
    mine = world.client().webhook_verifier(keys(world))
    fields, body = signed(world, type="ContactCreate")
    over = hoopauth.Context()
    over.cancel()
    with pytest.raises(hoopauth.Cancelled):
        mine.verify(fields, body, context=over)
    delivery = mine.verify(fields, body, timeout=60)
    with pytest.raises(hoopauth.Cancelled):
        delivery.release(context=over)
    delivery.release(timeout=60)
    delivery = mine.verify(fields, body)
    with pytest.raises(hoopauth.Cancelled):
        delivery.confirm(context=over)
    with pytest.raises(hoopauth.InvalidArgument):
        delivery.confirm(timeout=-1)
    delivery.confirm(context=hoopauth.Context(60))
    with pytest.raises(hoopauth.WebhookReplayed):
        mine.verify(fields, body)


def test_what_installations_mean(world: World) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(COMPANY))
    mine = client.webhook_verifier(keys(world))
    location, company = LOCATION.partition(":")[2], COMPANY.partition(":")[2]
    with mine.verify(
        *signed(world, type="INSTALL", locationId=location, companyId=company)
    ) as delivery:
        assert client.apply(delivery) == "minted"
        assert client.apply(delivery) == "nothing"
    assert client.headers("GET", LOCATION)
    world.advance(10)
    with mine.verify(*signed(world, type="UNINSTALL", locationId=location)) as delivery:
        assert client.apply(delivery) == "removed"
    with pytest.raises(hoopauth.NoGrant):
        client.headers("GET", LOCATION)
    with mine.verify(*signed(world, type="ContactCreate", locationId=location)) as delivery:
        assert client.apply(delivery) == "nothing"
    with pytest.raises(TypeError):
        client.apply({"type": "INSTALL"})  # type: ignore[arg-type]


def test_workers_share_what_was_handled(tmp_path: Any) -> None:
    code = """
import hoopauth, hashlib, hmac, json, os, sys, time, datetime
secret = "a-planted-secret-of-this-webhook"
client = hoopauth.Client(client_id="app-x", client_secret="c",
                         store=f"sqlite:{sys.argv[1]}/grants.db",
                         store_key="0123456789abcdef0123456789abcdef")
key = hoopauth.WebhookKey("hmac-sha256", "mine", secret)
verifier = client.webhook_verifier([key], any_app=True)
now = datetime.datetime.now(datetime.timezone.utc).isoformat()
body = json.dumps({"type": "A", "webhookId": "w", "timestamp": now}).encode()
headers = {"x-wl-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
delivery = verifier.verify(headers, body)
child = os.fork()
if child == 0:
    try:
        verifier.verify(headers, body)
    except hoopauth.LeaseTimeout:
        del delivery  # the parent's: it stays claimed
        try:
            verifier.verify(headers, body)
        except hoopauth.LeaseTimeout:
            os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
delivery.confirm()
child = os.fork()
if child == 0:
    try:
        verifier.verify(headers, body)
    except hoopauth.WebhookReplayed:
        os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
print("once")
"""
    assert run_python(code, str(tmp_path)).stdout == "once\n"


def test_a_forked_child_has_a_memory_of_its_own() -> None:
    code = """
import hoopauth, hashlib, hmac, os
secret = "a-planted-secret-of-this-webhook"
key = hoopauth.WebhookKey("hmac-sha256", "mine", secret)
verifier = hoopauth.WebhookVerifier([key], any_app=True, without_timestamp=True)
body = b'{"type":"A","webhookId":"w"}'
headers = {"x-wl-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
verifier.verify(headers, body).confirm()
child = os.fork()
if child == 0:
    verifier.verify(headers, body).confirm()
    try:
        verifier.verify(headers, body)
    except hoopauth.WebhookReplayed:
        os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
"""
    run_python(code)


# The frameworks. Each application answers as a real one would: 200 once it was handled, 401 for
# what is forged.


def answer(handle: Callable[[], hoopauth.WebhookDelivery]) -> tuple[dict[str, Any], int]:
    try:
        with handle() as delivery:
            return {"type": delivery.type, "exact": delivery.body == BODY}, 200
    except hoopauth.Error as error:
        return {"error": error.name, "message": error.message}, 401


def by_flask(before: str) -> httpx.BaseTransport:
    app, mine = flask.Flask("hooks"), verifier()

    @app.post("/hook")
    def hook() -> Any:
        if before == "parsed":
            assert flask.request.get_json()["n"] == 1.0
        if before == "consumed":
            flask.request.stream.read()
        if before == "partly":
            flask.request.stream.read(3)
        return answer(lambda: mine.verify_request(flask.request))

    return httpx.WSGITransport(app)


def by_django(before: str) -> httpx.BaseTransport:
    mine = verifier()

    def app(environ: Any, start_response: Any) -> Any:
        request = WSGIRequest(environ)
        if before == "parsed":
            assert json.loads(request.body)["n"] == 1.0
        if before == "consumed":
            request.read()
        if before == "partly":
            request.read(3)
        content, status = answer(lambda: mine.verify_request(request))
        start_response(f"{status} X", [("Content-Type", "application/json")])
        return [json.dumps(content).encode()]

    return httpx.WSGITransport(app)


async def answer_async(mine: hoopauth.WebhookVerifier, request: Any) -> Any:
    try:
        async with await mine.verify_request_async(request) as delivery:
            content, status = {"type": delivery.type, "exact": delivery.body == BODY}, 200
    except hoopauth.Error as error:
        content, status = {"error": error.name, "message": error.message}, 401
    return starlette.responses.JSONResponse(content, status)


async def touched(request: Any, before: str) -> None:
    if before == "parsed":
        assert (await request.json())["n"] == 1.0
    if before == "consumed":
        async for _ in request.stream():
            pass
    if before == "partly":
        async for _ in request.stream():
            break


def by_starlette(before: str) -> httpx.AsyncBaseTransport:
    mine = verifier()

    async def hook(request: Any) -> Any:
        await touched(request, before)
        return await answer_async(mine, request)

    app = starlette.applications.Starlette(
        routes=[starlette.routing.Route("/hook", hook, methods=["POST"])]
    )
    return httpx.ASGITransport(app)


def by_fastapi(before: str) -> httpx.AsyncBaseTransport:
    app, mine = fastapi.FastAPI(), verifier()

    async def hook(request: fastapi.Request) -> Any:
        await touched(request, before)
        return await answer_async(mine, request)

    async def hook_with_body(request: fastapi.Request, event: dict[str, Any]) -> Any:
        assert event["n"] == 1.0
        return await answer_async(mine, request)

    # Annotations are text in this file.
    hook.__annotations__ = {"request": fastapi.Request}
    hook_with_body.__annotations__ = {"request": fastapi.Request, "event": dict[str, Any]}
    app.post("/hook", response_model=None)(hook_with_body if before == "parsed" else hook)
    return httpx.ASGITransport(app)


FRAMEWORKS = [by_flask, by_django, by_starlette, by_fastapi]


def post(transport: Any, body: bytes, fields: Any) -> httpx.Response:
    fields = [("Content-Type", "application/json"), *fields]
    if isinstance(transport, httpx.BaseTransport):
        with httpx.Client(transport=transport, base_url="http://app.example") as client:
            return client.post("/hook", content=body, headers=fields)

    async def sent() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://app.example") as client:
            return await client.post("/hook", content=body, headers=fields)

    return anyio.run(sent)


@pytest.fixture(params=FRAMEWORKS, ids=lambda way: way.__name__)
def app(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("before", ["", "parsed"])
def test_a_frameworks_request_is_verified_by_its_raw_bytes(app: Any, before: str) -> None:
    transport = app(before)
    fields = [("X-WL-Signature", signature(BODY))]
    forged = post(transport, json.dumps(json.loads(BODY)).encode(), fields)
    assert (forged.status_code, forged.json()["error"]) == (401, "SIGNATURE_INVALID")
    assert post(transport, BODY, []).json()["error"] == "SIGNATURE_MISSING"
    twice = post(transport, BODY, [*fields, ("x-wl-signature", "0" * 64)])
    assert (twice.status_code, twice.json()["error"]) == (401, "SIGNATURE_INVALID")
    response = post(transport, BODY, fields)
    assert (response.status_code, response.json()) == (
        200,
        {"type": "ContactCreate", "exact": True},
    )
    assert post(transport, BODY, fields).json()["error"] == "WEBHOOK_REPLAYED"


@pytest.mark.parametrize("before", ["consumed", "partly"])
def test_a_body_that_was_consumed_says_so(app: Any, before: str) -> None:
    refused = post(app(before), BODY, [("X-WL-Signature", signature(BODY))])
    assert refused.json()["error"] == "INVALID_STATE"
    assert "read or parsed before" in refused.json()["message"]


def test_a_form_that_was_parsed_says_so() -> None:
    app, mine = flask.Flask("hooks"), verifier()

    @app.post("/hook")
    def hook() -> Any:
        assert flask.request.form["a"] == "1"
        return answer(lambda: mine.verify_request(flask.request))

    body = b"a=1"
    sent = {"X-WL-Signature": signature(body), "Content-Type": "application/x-www-form-urlencoded"}
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://app.example") as client:
        assert client.post("/hook", content=body, headers=sent).json()["error"] == "INVALID_STATE"


def test_requests_of_the_other_kind_and_of_no_kind() -> None:
    mine = verifier()

    async def receive() -> Any:
        return {"type": "http.request", "body": BODY}

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"x-wl-signature", signature(BODY).encode())],
    }
    with pytest.raises(hoopauth.InvalidArgument, match="verify_request_async"):
        mine.verify_request(starlette.requests.Request(scope, receive))
    for nothing in ({"body": BODY}, None, object()):
        with pytest.raises(hoopauth.InvalidArgument, match="is not a request of"):
            mine.verify_request(nothing)

    # A view of Django may be async, too.
    environ = {
        "REQUEST_METHOD": "POST",
        "wsgi.input": io.BytesIO(BODY),
        "CONTENT_LENGTH": str(len(BODY)),
        "HTTP_X_WL_SIGNATURE": signature(BODY),
    }

    async def view() -> hoopauth.WebhookDelivery:
        return await mine.verify_request_async(WSGIRequest(environ))

    assert anyio.run(view).type == "ContactCreate"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_event_loop_never_waits_for_a_claim(world: World, backend: str) -> None:
    client = world.client()
    mine = client.webhook_verifier(keys(world))
    fields, body = signed(world, type="ContactCreate")
    loop_thread = threading.get_ident()
    threads: list[int] = []

    class Noting:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.clock, name)

        def now(self) -> float:
            threads.append(threading.get_ident())
            return world.clock.now()

    watching = world.client(clock=Noting()).webhook_verifier(keys(world))
    threads.clear()

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def main() -> str:
        scope = {
            "type": "http",
            "method": "POST",
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields],
        }
        async with await watching.verify_request_async(
            starlette.requests.Request(scope, receive)
        ) as delivery:
            return delivery.type

    assert anyio.run(main, backend=backend) == "ContactCreate"
    assert threads
    assert loop_thread not in threads
    assert mine.verify(fields, body)


def test_a_private_integration_has_a_verifier_too(world: World) -> None:
    client = hoopauth.Client(private_integration_token=PRIVATE_INTEGRATION, clock=world.clock)
    mine = client.webhook_verifier(keys(world), app_id=APP)
    fields, body = signed(world, type="ContactCreate")
    mine.verify(fields, body).confirm()
    with pytest.raises(hoopauth.WebhookReplayed):
        mine.verify(fields, body)


def test_base64_and_hex_are_the_same_signature() -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).digest()
    for text in (digest.hex(), base64.b64encode(digest).decode(), "sha256=" + digest.hex()):
        assert verifier().verify_signature({"x-wl-signature": text}, BODY) == "mine"


def test_a_body_that_is_too_long_is_refused(app: Any) -> None:
    response = post(app("never"), b"x" * (2 << 20), [("X-GHL-Signature", "AAAA")])
    assert response.status_code == 401
    assert response.json()["error"] == "WEBHOOK_MALFORMED"
    assert "max_body" in response.json()["message"]


def test_a_body_that_never_ends_is_given_up() -> None:
    read = 0

    async def receive() -> Any:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}

    async def verify() -> None:
        with pytest.raises(hoopauth.WebhookMalformed, match="max_body"):
            await verifier().verify_request_async(starlette.requests.Request(scope, receive))

    anyio.run(verify)
    assert read == 17


class Endless(io.RawIOBase):
    """The part that a server hands on of a body without an end."""

    def __init__(self) -> None:
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.count += len(buffer)
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


def chunked(stream: Any, **more: Any) -> dict[str, Any]:
    """Give the environment of a request that came in chunks."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/hook",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.errors": io.StringIO(),
        "wsgi.input": stream,
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_X_WL_SIGNATURE": signature(BODY),
        **more,
    }


def of_flask(environ: dict[str, Any]) -> Any:
    return flask.Flask("hooks").request_context(environ).request


def of_django(environ: dict[str, Any]) -> Any:
    """Return a request of Django under ASGI, whose handler has read a body of any length."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/hook",
        "headers": [
            (b"transfer-encoding", b"chunked"),
            (b"x-wl-signature", signature(BODY).encode()),
        ],
    }
    return ASGIRequest(scope, environ["wsgi.input"])


@pytest.mark.parametrize("request_of", [of_flask, of_django])
def test_a_body_without_a_length_is_read_no_further_than_it_may_be(request_of: Any) -> None:
    body = Endless()
    request = request_of(chunked(io.BufferedReader(body, 4096), **{"wsgi.input_terminated": True}))
    with pytest.raises(hoopauth.WebhookMalformed, match="max_body"):
        verifier(max_body=100_000).verify_request(request)
    assert body.count < 200_000
    # A told length that is a lie changes nothing.
    body = Endless()
    told = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "10"}
    with pytest.raises(hoopauth.WebhookMalformed, match="max_body"):
        verifier(max_body=100_000).verify_request(
            request_of(chunked(io.BufferedReader(body, 4096), **told))
        )
    assert body.count < 200_000


@pytest.mark.parametrize("request_of", [of_flask, of_django])
def test_a_body_without_a_length_is_read_whole_and_stays_readable(request_of: Any) -> None:
    request = request_of(chunked(io.BytesIO(BODY), **{"wsgi.input_terminated": True}))
    mine = verifier(max_body=len(BODY))
    with mine.verify_request(request) as delivery:
        assert delivery.body == BODY
    # What handles the request later finds it.
    again = request.get_data() if hasattr(request, "get_data") else request.body
    assert again == BODY
    with pytest.raises(hoopauth.WebhookReplayed):
        mine.verify_request(request)


@pytest.mark.parametrize("request_of", [of_flask, WSGIRequest])
def test_a_body_that_the_server_does_not_hand_over_is_no_forgery(request_of: Any) -> None:
    # Without `wsgi.input_terminated` nobody can tell where it ends: the frameworks give nothing.
    for coding in ("chunked", "gzip, Chunked", ""):
        with pytest.raises(hoopauth.InvalidState, match="Content-Length") as raised:
            verifier().verify_request(
                request_of(chunked(io.BytesIO(BODY), HTTP_TRANSFER_ENCODING=coding))
            )
        assert "server" in str(raised.value)
        assert "429" in str(raised.value)
    # What is neither signed nor there is no webhook.
    nothing = chunked(io.BytesIO(), HTTP_TRANSFER_ENCODING="", HTTP_X_WL_SIGNATURE="")
    with pytest.raises(hoopauth.SignatureMissing):
        verifier().verify_request(request_of(nothing))


def test_what_rest_framework_wraps_is_read_and_kept() -> None:
    class Wrapped:
        def __init__(self, request: Any) -> None:
            self._request = request

        def __getattr__(self, name: str) -> Any:
            return getattr(self._request, name)

    environ = chunked(io.BytesIO(BODY), CONTENT_LENGTH=str(len(BODY)))
    del environ["HTTP_TRANSFER_ENCODING"]
    request = WSGIRequest(environ)
    with verifier().verify_request(Wrapped(request)) as delivery:
        assert delivery.body == BODY
    assert request.body == BODY
