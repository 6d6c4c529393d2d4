"""The Python runner of the conformance cases in `tests/cases`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import ROOT, World, approve

import hoopauth

CASES = [
    pytest.param(case, id=case["name"])
    for path in sorted((ROOT / "tests" / "cases").glob("*.json"))
    if path.name != "schema.json"
    for case in json.loads(path.read_text())
]


def test_there_are_cases() -> None:
    assert len(CASES) >= 18


@pytest.mark.parametrize("case", CASES)
def test_case(world: World, case: dict[str, Any]) -> None:
    options: dict[str, Any] = dict(case["options"])
    if options.pop("oauth", None):
        options = world.emulator.options(**options)
    else:
        options = {"api_base": world.emulator.api, **options}
    try:
        client = hoopauth.Client(clock=world.clock, **options)
    except hoopauth.Error as error:
        assert error.name == case["expect_build"]
        return
    assert "expect_build" not in case
    with client:
        for step in case["steps"]:
            run(world, client, step)


def run(world: World, client: hoopauth.Client, step: dict[str, Any]) -> None:
    emulator, account, expect = world.emulator, step.get("account"), step.get("expect")
    match step["do"]:
        case "headers":
            try:
                headers = client.headers(step["method"], account)
            except hoopauth.Error as error:
                assert error.name == expect, step
                return
            assert expect is None or isinstance(expect, dict), step
            for name, value in (expect or {}).items():
                assert headers.get(name) == value, step
        case "login":
            pending = client.authorization_request()
            assert client.complete(pending, approve(pending.url, account)) == account
        case "import":
            client.import_grant(emulator.grant(account), replace=step.get("replace", False))
        case "remove":
            assert client.remove(account)
        case "request":
            try:
                status = request(world, client, step)
            except hoopauth.Error as error:
                assert error.name == expect, step
                return
            assert expect == {"status": status}, step
        case "advance":
            world.advance(step["seconds"])
        case "settings":
            emulator.control("settings", {name: value for name, value in step.items() if name != "do"})
        case "fault":
            emulator.control("faults", {name: value for name, value in step.items() if name != "do"})
        case "revoke":
            emulator.control("revoke", {"account": account, "access": True, "refresh": False})
        case "pause" | "unpause":
            emulator.control(step["do"], {"location_id": account.partition(":")[2]})
        case "uninstall":
            emulator.control("uninstall", {"account": account})
        case "statistics":
            statistics = emulator.statistics()
            assert {name: statistics[name] for name in expect} == expect
        case other:
            pytest.fail(f"unknown step {other}")


def request(world: World, client: hoopauth.Client, step: dict[str, Any]) -> int:
    account = step.get("account")
    headers = client.headers("GET", account)
    status, body = world.emulator.call(headers, step["path"])
    if step.get("report") and (again := client.report(headers, status, {}, body, account=account)):
        return world.emulator.call(again, step["path"])[0]
    return status


def test_an_unknown_step_fails(world: World) -> None:
    with pytest.raises(pytest.fail.Exception, match="unknown step nonsense"):
        run(world, hoopauth.Client(access_token="a"), {"do": "nonsense"})
