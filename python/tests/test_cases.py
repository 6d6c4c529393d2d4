"""The Python runner of the conformance cases in `tests/cases`."""

from __future__ import annotations

import json
import pathlib
import urllib.error
from typing import Any

import pytest
from conftest import ROOT, World, approve, deny

import hoopauth


def cases(folder: pathlib.Path) -> list[Any]:
    return [
        pytest.param(case, id=case["name"])
        for path in sorted(folder.glob("*.json"))
        if path.name != "schema.json"
        for case in json.loads(path.read_text())
    ]


CASES = cases(ROOT / "tests" / "cases")
WRONG = cases(ROOT / "tests" / "cases" / "wrong")


def test_there_are_cases() -> None:
    assert len(CASES) >= 31
    assert len(WRONG) >= 19


@pytest.mark.parametrize("case", CASES)
def test_case(world: World, case: dict[str, Any], tmp_path: pathlib.Path) -> None:
    play(world, case, tmp_path)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_case_fails(world: World, case: dict[str, Any], tmp_path: pathlib.Path) -> None:
    wrong = (
        AssertionError,
        KeyError,
        hoopauth.Error,
        pytest.fail.Exception,
        urllib.error.HTTPError,
    )
    with pytest.raises(wrong):
        play(world, case, tmp_path)


def play(world: World, case: dict[str, Any], folder: pathlib.Path) -> None:
    only(case, "name", "since", "options", "expect_build", "steps")
    options: dict[str, Any] = dict(case["options"])
    if options.get("store") == "file":
        options["store"] = f"sqlite:{folder}/grants.db"
    if oauth := options.pop("oauth", None):
        assert oauth == "default", case
        options = world.emulator.options(**options)
    else:
        options = {"api_base": world.emulator.api, **options}
    try:
        client = hoopauth.Client(clock=world.clock, **options)
    except hoopauth.Error as error:
        assert error.name == case["expect_build"]
        assert not case["steps"], "no steps can follow"
        return
    assert "expect_build" not in case
    with client, hoopauth.Client(clock=world.clock, **options) as other:
        player = Player(world, client)
        for step in case["steps"]:
            own = dict(step)
            by = own.pop("by", None)
            assert by in (None, "other"), step
            player.client = other if by else client
            player.check(own)


def only(thing: dict[str, Any], *known: str) -> None:
    unknown = set(thing) - set(known)
    assert not unknown, f"unknown members {unknown} in {thing}"


def holds(value: Any, expected: Any) -> bool:
    """Return True if everything expected is there; objects may hold more."""
    if isinstance(expected, dict):
        known = isinstance(value, dict) and expected.keys() <= value.keys()
        return known and all(holds(value[name], part) for name, part in expected.items())
    return bool(value == expected and type(value) is type(expected))


class Player:
    """Plays steps; remembers the last login, the last grant that was imported, the verifiers and
    the last webhook.
    """

    def __init__(self, world: World, client: hoopauth.Client) -> None:
        self.world, self.client = world, client
        self.pending: hoopauth.PendingAuthorization | None = None
        self.redirect = ""
        self.grant: hoopauth.Grant | None = None
        self.verifiers: dict[tuple[int, str], hoopauth.WebhookVerifier] = {}
        self.webhook: tuple[list[list[str]], str] | None = None
        self.left: list[hoopauth.WebhookDelivery] = []

    def check(self, step: dict[str, Any]) -> None:
        """`expect` is a code's name, or an object whose members the outcome must have; without it,
        success.
        """
        expect = step.get("expect")
        try:
            outcome = self.run(step)
        except hoopauth.Error as error:
            assert isinstance(expect, str), f"{step}: {error}"
            assert error.name == expect, step
            return
        if "expect" in step:
            assert isinstance(expect, dict), f"{step}: {outcome}"
            for name, value in expect.items():
                assert name in outcome, f"{name} in {step}"
                part = step["do"] == "send" and name in ("body", "header")
                same = holds(outcome[name], value) if part else outcome[name] == value
                assert same, f"{name} in {step}: {outcome}"

    def run(self, step: dict[str, Any]) -> dict[str, Any]:
        client, control = self.client, self.world.emulator.control
        account = step.get("account")

        def keys(*known: str) -> None:
            only(step, "do", "expect", *known)

        match step["do"]:
            case "headers":
                keys("method", "account")
                headers = client.headers(step["method"], account)
                return {
                    name: headers.get(name)
                    for name in ("Authorization", "Version", "User-Agent", "Content-Type")
                }
            case "login":
                keys("account", "pkce", "sealed", "deny", "state", "again")
                return self.login(step)
            case "import":
                keys("account", "replace", "again")
                if not step.get("again"):
                    self.grant = self.world.emulator.grant(step["account"])
                assert self.grant
                return {
                    "outcome": client.import_grant(self.grant, replace=step.get("replace", False))
                }
            case "export":
                keys("account")
                grant = client.export_grant(step["account"])
                return {
                    "account": grant.account,
                    "company_id": grant.company_id,
                    "minted": grant.minted,
                }
            case "accounts":
                keys()
                return {"accounts": client.accounts()}
            case "health":
                keys("account")
                health = client.health(step["account"])
                names = ("needs_reauthorization", "unsaved", "idle_days_left")
                return {name: getattr(health, name) for name in names}
            case "mint":
                keys("account", "company")
                client.mint(step["account"], step["company"])
            case "remove":
                keys("account")
                return {"removed": client.remove(step["account"])}
            case "request":
                keys("account", "path", "report")
                return {"status": self.request(step)}
            case "send":
                return self.send(step)
            case "rate_limit":
                keys("account")
                limit = client.rate_limit(step["account"])
                names = ("limit", "remaining", "daily_limit", "daily_remaining")
                return (
                    {"known": True, **{name: getattr(limit, name) for name in names}}
                    if limit
                    else {"known": False}
                )
            case "scopes_for":
                keys("operations")
                return {"scopes": hoopauth.scopes_for(step["operations"])}
            case "installed_locations":
                keys("company")
                return {
                    "accounts": [
                        location.account for location in client.installed_locations(step["company"])
                    ]
                }
            case "mint_all":
                keys("company")
                summary = client.mint_all(step["company"])
                return {name: getattr(summary, name) for name in ("minted", "kept", "failed")}
            case "revoke_key":
                keys("token")
                control("private-integrations/revoke", {"token": step["token"]})
            case "webhook":
                return self.verify(step)
            case "advance":
                keys("seconds")
                self.world.advance(step["seconds"])
            case "maintain":
                keys("seconds")
                client.maintain(self.world.clock.now() + step["seconds"])
                control("clock", {"advance": step["seconds"]})
            case "settings":
                keys("casing")
                assert step["casing"] in ("camel", "snake"), step
                control("settings", {"casing": step["casing"]})
            case "fault":
                made = ("endpoint", "kind", "status", "headers", "body", "times")
                keys(*made, "members", "omit", "first", "before")
                control(
                    "faults",
                    {name: value for name, value in step.items() if name not in ("do", "expect")},
                )
            case "revoke":
                keys("account", "token")
                assert step["token"] in ("access", "refresh"), step
                token = step["token"]
                control(
                    "revoke",
                    {
                        "account": account,
                        "access": token == "access",
                        "refresh": token == "refresh",
                    },
                )
            case "pause" | "unpause":
                keys("account")
                control(step["do"], {"location_id": step["account"].partition(":")[2]})
            case "uninstall":
                keys("account")
                control("uninstall", {"account": step["account"]})
            case "statistics":
                keys()
                return self.world.emulator.statistics()
            case other:
                pytest.fail(f"unknown step {other}")
        return {}

    def login(self, step: dict[str, Any]) -> dict[str, Any]:
        if not step.get("again"):
            pending = self.client.authorization_request(pkce=step.get("pkce", False))
            assert ("code_challenge_method=S256" in pending.url) == step.get("pkce", False), step
            if step.get("sealed"):
                pending = self.client.open_pending(pending.seal())
            redirect = (
                deny(pending.url) if step.get("deny") else approve(pending.url, step["account"])
            )
            self.pending, self.redirect = pending, redirect
        assert self.pending
        redirect = self.redirect
        if "state" in step:
            assert step["state"] == "wrong", step
            redirect = redirect.replace(self.pending.state, "wrong")
        return {"account": self.client.complete(self.pending, redirect)}

    def request(self, step: dict[str, Any]) -> int:
        account = step.get("account")
        headers = self.client.headers("GET", account)
        status, body = self.world.emulator.call(headers, step["path"])
        if step.get("report") and (
            again := self.client.report(headers, status, {}, body, account=account)
        ):
            return self.world.emulator.call(again, step["path"])[0]
        return status

    def send(self, step: dict[str, Any]) -> dict[str, Any]:
        passed = ("account", "params", "json", "headers", "version", "any_status", "repeatable")
        only(step, "do", "expect", "method", "path", "body", *passed)
        options = {name: step[name] for name in passed if name in step}
        response = self.client.request(
            step["method"], step["path"], data=step.get("body"), **options
        )
        try:
            body = response.json()
        except hoopauth.MalformedResponse:
            body = None
        expect = step.get("expect")
        wanted = expect.get("header", {}) if isinstance(expect, dict) else {}
        header = {name: response.headers.get(name) for name in wanted}
        return {"status": response.status, "header": header, "body": body}

    def verify(self, step: dict[str, Any]) -> dict[str, Any]:
        only(
            step,
            "do",
            "expect",
            "verifier",
            "keys",
            "emulator_keys",
            "headers",
            "body",
            "sign",
            "again",
            "then",
        )
        if "sign" in step:
            signed = self.world.emulator.control("webhooks/sign", step["sign"])
            self.webhook = signed["headers"], signed["body"]
        elif not step.get("again"):
            self.webhook = step["headers"], step["body"]
        assert self.webhook
        headers, body = self.webhook
        delivery = self.verifier(step).verify(headers, body.encode())
        names = ("type", "webhook_id", "account", "app_id", "key")
        outcome = {name: getattr(delivery, name) for name in names}
        match step.get("then", "confirm"):
            case "confirm":
                delivery.confirm()
            case "release":
                delivery.release()
            case "apply":
                outcome["applied"] = self.client.apply(delivery)
                delivery.confirm()
            case "leave":
                self.left.append(delivery)
            case other:
                pytest.fail(f"unknown end {other}")
        return outcome

    def verifier(self, step: dict[str, Any]) -> hoopauth.WebhookVerifier:
        """The same for the same options and keys, as long as the case."""
        keys = list(step.get("keys", []))
        if step.get("emulator_keys"):
            keys += self.world.emulator.control("webhooks/keys")["keys"]
        name = (
            id(self.client),
            json.dumps([step.get("verifier"), step.get("keys"), step.get("emulator_keys")]),
        )
        if name not in self.verifiers:
            made = [hoopauth.WebhookKey(key["scheme"], key["label"], key["key"]) for key in keys]
            self.verifiers[name] = self.client.webhook_verifier(made, **step.get("verifier", {}))
        return self.verifiers[name]
