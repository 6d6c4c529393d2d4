"""Records arrive in `logging`, and nothing anywhere holds a secret."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest
from conftest import CLIENT_ID, CLIENT_SECRET, LOCATION, World, approve, run_python

import hoopauth


def test_records_arrive_below_the_logger(world: World, caplog: pytest.LogCaptureFixture) -> None:
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    (record,) = [record for record in caplog.records if record.name.startswith("hoopauth")]
    assert (record.name, record.levelname) == ("hoopauth.grants.write", "DEBUG")
    assert LOCATION in record.getMessage()


def test_the_loggers_level_counts(world: World, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("hoopauth").setLevel(logging.WARNING)
    client = world.client()
    client.import_grant(world.emulator.grant(LOCATION))
    world.advance(70_000)
    world.emulator.control(
        "faults", {"endpoint": "token", "kind": "status", "status": 503, "times": 9}
    )
    client.headers("GET", LOCATION)
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_without_logging_imported_only_warnings_are_told() -> None:
    code = """
import sys, hoopauth
client = hoopauth.Client(client_id="a-b", client_secret="c", store="memory:")
client.import_grant(hoopauth.Grant("location:a", "x", expires_at=4e9))
assert "logging" not in sys.modules
"""
    assert run_python(code).stderr == ""


def test_without_logging_imported_an_error_reaches_stderr(world: World) -> None:
    code = """
import sys, hoopauth
class Store:
    def load(self, app, account): return None
    def save(self, *_): raise OSError("disk full")
    def accounts(self, app): return []
id, secret, url, code = sys.argv[1:]
client = hoopauth.Client(client_id=id, client_secret=secret,
    redirect_uri="https://a.example/", token_store=Store(), token_url=url)
location = "location:hoopLocation00000001"
assert client.complete_unsolicited(code, location) == location
assert client.fresh_headers("GET", "location:hoopLocation00000001") is None
"""
    issued = world.emulator.control("authorize", {"account": LOCATION})["code"]
    done = run_python(code, CLIENT_ID, CLIENT_SECRET, world.emulator.urls["token"], issued)
    assert "could not be saved" in done.stderr
    assert "`save` of the program's store raised `OSError`" in done.stderr
    assert "disk full" not in done.stderr


def test_a_handler_that_raises_or_calls_back_harms_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    unraised: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", unraised.append)
    called: list[int] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            called.append(1)
            client.accounts()

    handler = Handler()
    logger = logging.getLogger("hoopauth")
    logger.addHandler(handler)
    client = world.client()
    try:
        assert client.import_grant(world.emulator.grant(LOCATION)) == "imported"
    finally:
        logger.removeHandler(handler)
    assert called
    assert unraised


def test_no_planted_secret_comes_out_anywhere(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Login, refresh, refusals and failures, with everything logged; then all that was said is
    searched.
    """
    caplog.set_level(1)
    said: list[str] = []
    secrets = [CLIENT_SECRET, "planted-store-key-0123456789"]
    client = world.client(store_key="planted-store-key-0123456789")
    pending = client.authorization_request(pkce=True)
    redirect = approve(pending.url, LOCATION)
    secrets += [pending.state, redirect.partition("code=")[2].partition("&")[0]]
    client.complete(pending, redirect)
    first = client.export_grant(LOCATION)
    world.emulator.control("faults", {"endpoint": "token", "kind": "lost_answer"})
    world.advance(86_399)
    headers = client.headers("GET", LOCATION)
    second = client.export_grant(LOCATION)
    secrets += [
        first.access_token,
        first.refresh_token or "",
        second.access_token,
        second.refresh_token or "",
    ]
    said += [repr(x) for x in (client, pending, first, second, client.health(LOCATION))]

    def fails(call: Any) -> None:
        with pytest.raises(hoopauth.Error) as raised:
            call()
        said.append("".join(traceback.format_exception(raised.value)))
        said.append(repr(vars(raised.value)))

    fails(lambda: client.complete(pending, redirect))
    fails(
        lambda: hoopauth.Client(
            client_id="a", client_secret=CLIENT_SECRET, access_token=first.access_token
        )
    )
    fails(lambda: hoopauth.Client(private_integration_token=CLIENT_SECRET + " x"))
    fails(lambda: client.open_pending(pending.state))
    token = second.access_token
    fails(
        lambda: client.report(
            headers,
            401,
            {},
            f'{{"message":"not authorized for this scope {token}"}}',
            account=LOCATION,
        )
    )
    world.emulator.control("uninstall", {"account": LOCATION})
    world.advance(86_399)
    fails(lambda: client.headers("GET", LOCATION))
    said += [f"{record.name} {record.getMessage()} {vars(record)}" for record in caplog.records]
    assert any("hoopauth" in text for text in said)
    assert [secret for secret in secrets if any(secret in text for text in said)] == []
