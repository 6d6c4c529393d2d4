"""The Python runner of the conformance cases in `tests/cases`."""

from __future__ import annotations

import json
import pathlib
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
    with pytest.raises((AssertionError, KeyError, hoopauth.Error, pytest.fail.Exception)):
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


class Player:
    """Plays steps; remembers the last login and the last grant that was imported."""

    def __init__(self, world: World, client: hoopauth.Client) -> None:
        self.world, self.client = world, client
        self.pending: hoopauth.PendingAuthorization | None = None
        self.redirect = ""
        self.grant: hoopauth.Grant | None = None

    def check(self, step: dict[str, Any]) -> None:
        """`expect` is a code's name, or an object whose members the outcome must have; without it, success."""
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
                assert outcome[name] == value, f"{name} in {step}"

    def run(self, step: dict[str, Any]) -> dict[str, Any]:
        client, control = self.client, self.world.emulator.control
        account = step.get("account")

        def keys(*known: str) -> None:
            only(step, "do", "expect", *known)

        match step["do"]:
            case "headers":
                keys("method", "account")
                headers = client.headers(step["method"], account)
                return {name: headers.get(name) for name in ("Authorization", "Version", "User-Agent", "Content-Type")}
            case "login":
                keys("account", "pkce", "sealed", "deny", "state", "again")
                return self.login(step)
            case "import":
                keys("account", "replace", "again")
                if not step.get("again"):
                    self.grant = self.world.emulator.grant(step["account"])
                assert self.grant
                return {"outcome": client.import_grant(self.grant, replace=step.get("replace", False))}
            case "export":
                keys("account")
                grant = client.export_grant(step["account"])
                return {"account": grant.account, "company_id": grant.company_id, "minted": grant.minted}
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
                keys("endpoint", "kind")
                assert step["endpoint"] in ("token", "location_token"), step
                assert step["kind"] in ("lost_answer", "cut_body", "malformed_json"), step
                control("faults", {"endpoint": step["endpoint"], "kind": step["kind"]})
            case "revoke":
                keys("account", "token")
                assert step["token"] in ("access", "refresh"), step
                token = step["token"]
                control("revoke", {"account": account, "access": token == "access", "refresh": token == "refresh"})
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
            redirect = deny(pending.url) if step.get("deny") else approve(pending.url, step["account"])
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
        if step.get("report") and (again := self.client.report(headers, status, {}, body, account=account)):
            return self.world.emulator.call(again, step["path"])[0]
        return status
