"""Text that can't be written as UTF-8, at every place where text enters: a typed error that shows
nothing of it.
"""

from __future__ import annotations

import inspect
import pathlib
import traceback
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from conftest import COMPANY, LOCATION, World, run_python

import hoopauth

BROKEN = "planted-secret\udce9"
"""As `os.environ` gives a byte of Latin-1."""

TEXT = {
    "access_token": "a",
    "account": LOCATION,
    "code": "c",
    "company": COMPANY,
    "company_id": "c",
    "expected": LOCATION,
    "key": "a secret of some length",
    "label": "own",
    "location": LOCATION,
    "method": "GET",
    "path": "/contacts/",
    "redirect": "?code=c",
    "redirect_uri": "https://app.example/",
    "refresh_token": "r",
    "scheme": "hmac-sha256",
    "sealed": "x",
    "url": "https://app.example/",
    "version": "v3",
    "version_id": "v",
}
"""Arguments that are text alone, with good values."""

ALSO_TEXT: dict[str, list[Any]] = {
    "scopes": [BROKEN, ["a", BROKEN]],
    "operations": [["GET /contacts/", BROKEN]],
    "params": [{BROKEN: "a"}, {"a": BROKEN}, {"a": ["b", BROKEN]}, [("a", BROKEN)]],
    "json": [BROKEN, {"a": [BROKEN]}, {BROKEN: 1}],
    "data": [BROKEN],
}
"""Arguments that may hold text, with texts that can't be written in them."""

LENIENT = {
    ("Client.report", "headers"),
    ("Client.report", "answer_headers"),
    ("Client._note_limits", "headers"),
    ("Client._note_limits", "answer_headers"),
}
"""What comes from a server or a library: what can't be read there is left out, and nothing is
raised.
"""


def refused(call: Callable[[], Any], *kinds: type[hoopauth.Error]) -> None:
    """A call that raises hoopauth's own error; neither that nor what caused it shows the text, in
    no form.
    """
    with pytest.raises(hoopauth.Error) as raised:
        call()
    assert isinstance(raised.value, kinds or (hoopauth.InvalidArgument,)), repr(raised.value)
    seen: BaseException | None = raised.value
    while seen is not None:
        shown = f"{seen} {seen!r} {seen.args} {vars(seen)} {traceback.format_exception_only(seen)}"
        assert "planted" not in shown
        assert not isinstance(seen, UnicodeError), seen
        seen = seen.__cause__ or seen.__context__


def entry_points(world: World) -> dict[str, Callable[..., Any]]:
    """Every function, class and method of the module, by its name."""
    found: dict[str, Callable[..., Any]] = {
        "operation": hoopauth.operation,
        "scopes_for": hoopauth.scopes_for,
    }
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    verifier = client.webhook_verifier()
    for name, kind in vars(hoopauth).items():
        if not isinstance(kind, type) or issubclass(kind, hoopauth.Error):
            continue
        found[name] = kind
        owner = {"Client": client, "WebhookVerifier": verifier}.get(name)
        for method, function in vars(kind).items():
            static = isinstance(function, staticmethod)
            if (method.startswith("__") and method.endswith("__")) or not (
                static or callable(function)
            ):
                continue
            if owner is not None:
                found[f"{name}.{method}"] = getattr(owner, method)
    return found


def arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except ValueError:
        return {}
    return {
        name: at
        for name, at in signature.parameters.items()
        if at.kind is not inspect.Parameter.VAR_KEYWORD
    }


def given(world: World, function: Callable[..., Any]) -> dict[str, Any]:
    """Good values for the arguments that must be given."""
    client = world.client()
    good = {
        **TEXT,
        "body": b"{}",
        "delivery": None,
        "grant": hoopauth.Grant(LOCATION, "a"),
        "headers": {},
        "answer_headers": {},
        "operations": [],
        "pending": client.authorization_request(),
        "request": types.SimpleNamespace(headers={}),
        "status": 200,
        "until": 0.0,
    }
    required = {
        name: at
        for name, at in arguments(function).items()
        if at.default is inspect.Parameter.empty
    }
    return {name: good[name] for name in required}


def test_every_text_argument_of_every_function_is_refused_without_being_shown(world: World) -> None:
    places = 0
    for name, function in entry_points(world).items():
        for argument in arguments(function):
            texts = [BROKEN] if argument in TEXT else list(ALSO_TEXT.get(argument, []))
            if argument == "headers" and (name, argument) not in LENIENT:
                texts = [{BROKEN: "a"}, {"a": BROKEN}, [("a", BROKEN)]]
            if (name, argument) == ("Client.report", "body"):
                texts = [BROKEN]
            if (name, argument) == ("Grant", "scopes"):
                # A list only.
                texts = [["a", BROKEN]]
            for text in texts:
                call = {**given(world, function), argument: text}
                refused(lambda function=function, call=call: function(**call))  # type: ignore[misc]
                places += 1
    assert places > 60, places


def test_what_a_server_says_is_taken_as_far_as_it_can_be_read(world: World) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    sent = client.headers("GET", LOCATION)
    assert (
        client.report(
            {**sent, "X-Other": BROKEN}, 200, {BROKEN: "a", "a": BROKEN}, account=LOCATION
        )
        is None
    )
    refused(lambda: client.report({**sent, "Authorization": BROKEN}, 401, account=LOCATION))
    client._note_limits(
        {"Authorization": BROKEN}, 200, [("x-ratelimit-max", "1"), (BROKEN, "a")], LOCATION
    )  # type: ignore[attr-defined]  # noqa: SLF001


def test_every_option_in_every_form_is_refused_without_being_shown() -> None:
    class Path:
        def __fspath__(self) -> str:
            return BROKEN

    for name in hoopauth.OPTIONS:
        for value in (BROKEN, pathlib.PurePosixPath(BROKEN), Path(), ["a", BROKEN]):
            for make in (hoopauth.Client, hoopauth.Client.from_env):
                refused(partial(make, **{name: value}), hoopauth.Config)
    for name in hoopauth.WEBHOOK_OPTIONS:
        option: dict[str, Any] = {name: BROKEN}
        refused(partial(hoopauth.WebhookVerifier, **option), hoopauth.Config)
    refused(lambda: hoopauth.Client(**{BROKEN: "a"}), hoopauth.Config)


def test_webhooks_with_broken_text(world: World) -> None:
    verifier = world.client().webhook_verifier()
    for headers in (
        {BROKEN: "a"},
        {"a": BROKEN},
        [("a", BROKEN)],
        {"a": [BROKEN]},
        {"wsgi.version": 1, "HTTP_A": BROKEN},
    ):
        refused(lambda headers=headers: verifier.verify(headers, b"{}"))  # type: ignore[misc]
        refused(partial(verifier.verify_signature, headers, b"{}"))
    refused(
        lambda: hoopauth.WebhookVerifier(
            [hoopauth.WebhookKey("hmac-sha256", "a", BROKEN)], any_app=True
        )
    )
    refused(lambda: verifier.verify({}, BROKEN))  # type: ignore[arg-type]


def test_the_adapters_refuse_broken_text(world: World) -> None:
    client = world.client()
    refused(lambda: client.requests_auth(BROKEN))
    refused(lambda: client.httpx_auth(BROKEN))


def test_what_callbacks_answer_and_raise_is_not_shown(world: World) -> None:
    class Store:
        shared = False

        def __init__(self, names: Any, rows: Any = None) -> None:
            self.names = names
            if rows is not None:
                self.rows = lambda _app: rows

        def load(self, _app: str, _account: str) -> None:
            return None

        def save(self, *_: Any) -> bool:
            return True

        def accounts(self, _app: str) -> Any:
            return self.names

    columns = (True, False, 0.0, 0.0)
    for store in (
        Store([BROKEN]),
        Store([LOCATION, BROKEN]),
        Store([], [(BROKEN, columns)]),
        Store([1]),
    ):
        client = world.client(token_store=store)
        refused(client.accounts, hoopauth.CallbackFailed)

    class Transport:
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def send(self, _request: hoopauth.TransportRequest) -> Any:
            return self.answer

    for answer in ((BROKEN, {}, b""), BROKEN, (200, {}, 1), [BROKEN] * 3):
        client = world.client(transport=Transport(answer))
        client.import_grant(world.emulator.grant(LOCATION))
        refused(
            lambda client=client: client.request("GET", "/", account=LOCATION),
            hoopauth.CallbackFailed,
        )  # type: ignore[misc]
    # What can be read of an answer is.
    client = world.client(transport=Transport((200, {BROKEN: "a", "a": BROKEN, "b": "c"}, BROKEN)))
    client.import_grant(world.emulator.grant(LOCATION))
    answer = client.request("GET", "/", account=LOCATION)
    assert dict(answer.headers) == {"b": "c"}

    class Clock:
        def now(self) -> Any:
            return BROKEN

        monotonic = now

    with pytest.raises(hoopauth.CallbackFailed) as raised:
        world.client(clock=Clock()).authorization_request()
    assert "planted" not in f"{raised.value} {raised.value!r}"


def test_an_environment_of_another_encoding() -> None:
    # The byte reaches the other process as it is.
    names = (
        "HOOPAI_TOKEN",
        "LOCATION_ID",
        "HOOPAUTH_CLIENT_SECRET",
        "HOOPAUTH_STORE_KEY",
        "HOOPAUTH_CA_FILE",
    )
    for name in names:
        done = run_python(
            "import os, hoopauth\n"
            "made = lambda: hoopauth.Client(client_secret=os.environ[NAME])\n"
            "for make in (hoopauth.Client.from_env, made):\n"
            "    try:\n"
            "        make()\n"
            "    except hoopauth.Config as error:\n"
            "        print(repr(error), error.message)\n"
            "        print(error.__cause__, error.__context__)\n".replace("NAME", repr(name)),
            **{name: BROKEN},
        )
        assert done.stdout.count("\n") == 4, done.stdout
        assert name in done.stdout
        assert "planted" not in done.stdout
