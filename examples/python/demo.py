"""A local HoopAI, a login, API calls, an expiry, and on it goes. Exits with 1 if anything is off.

The local HoopAI is the program that `HOOPAUTH_EMULATOR` names: `cargo build -p hoopauth-emulator`
makes it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request

import hoopauth

LOCATION = "hoopLocation00000001"
CLIENT_ID = "65f0a1b2c3d4e5f607182930-hoopdev1"
CLIENT_SECRET = "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e"
PRIVATE_INTEGRATION = "pit-10ca7100-0000-4000-8000-000000000001"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The demonstration reads the redirect itself, as a web application's server would."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def send(
    url: str, headers: dict[str, str] | None = None, body: object = None
) -> tuple[int, dict[str, str], bytes]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with HTTP.open(
            urllib.request.Request(url, data=data, headers=headers or {}), timeout=30
        ) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), refused.read()


def expect(what: str, held: bool) -> None:  # noqa: FBT001
    if not held:
        sys.exit(f"this did not hold: {what}")


def story(urls: dict[str, str]) -> None:
    print(f"1. a local HoopAI listens at {urls['api']}")
    page = f"{urls['api']}/locations/{LOCATION}"

    simple = hoopauth.Client(private_integration_token=PRIVATE_INTEGRATION, api_base=urls["api"])
    status, _, _ = send(page, simple.headers("GET"))
    expect("a Private Integration token calls the API", status == 200)
    print(f"2. a Private Integration token calls the API: {status}")

    client = hoopauth.Client(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri="https://app.example/callback",
        scopes=["contacts.readonly", "locations.readonly"],
        store="memory:",
        api_base=urls["api"],
        authorize_url=urls["authorize"],
        token_url=urls["token"],
        location_token_url=urls["location_token"],
    )
    account = f"location:{LOCATION}"
    pending = client.authorization_request()
    _, _, html = send(pending.url)
    expect("the authorization page asks the user", b"Approve" in html)
    print(f"3. the authorization page asks the user to approve ({len(html)} bytes of HTML)")

    _, answer_headers, _ = send(f"{pending.url}&approve={account}")
    redirect = answer_headers["location"]
    expect("the account is the chosen one", client.complete(pending, redirect) == account)
    print(f"4. the code is exchanged; {account} is authorized")
    try:
        client.complete(pending, redirect)
        expect("a used redirect is refused", held=False)
    except hoopauth.StateMismatch as refused:
        print(f"5. the same redirect a second time is refused: {refused.name}")

    headers = client.headers("GET", account)
    status, _, _ = send(page, headers)
    expect("the API accepts the token", status == 200)
    print(f"6. the API answers {status}")

    send(f"{urls['control']}/expire", body={"account": account})
    status, answer_headers, body = send(page, headers)
    expect("the expired token is refused", status == 401)
    print(f"7. the token expires: the API answers {status}")
    again = client.report(headers, status, answer_headers, body, account=account)
    expect("the report leads to a refresh", again is not None)
    headers = again or {}
    status, _, _ = send(page, headers)
    statistics = json.loads(send(f"{urls['control']}/statistics")[2])
    expect("the refreshed token works", status == 200 and statistics["rotations"] == 1)
    print(f"8. hoopauth refreshes it, once, and the API answers {status}")

    send(f"{urls['control']}/uninstall", body={"account": account})
    status, answer_headers, body = send(page, headers)
    try:
        client.report(headers, status, answer_headers, body, account=account)
        expect("an uninstalled app asks for authorization", held=False)
    except hoopauth.ReauthorizationRequired as refused:
        print(f"9. the user uninstalls the app: {refused.name}")
    print("all of it as it should be")


def main() -> None:
    program = os.environ.get("HOOPAUTH_EMULATOR")
    if not program:
        sys.exit(
            "set HOOPAUTH_EMULATOR to the local HoopAI: `cargo build -p hoopauth-emulator` makes it"
        )
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as emulator:
        if not emulator.stdin or not emulator.stdout:
            sys.exit("the local HoopAI has no pipes")
        # The story tells itself what hoopauth logs at its end, a warning.
        logging.getLogger("hoopauth").addHandler(logging.NullHandler())
        try:
            story(json.loads(emulator.stdout.readline()))
        finally:
            # It ends when its stdin closes.
            emulator.stdin.close()


if __name__ == "__main__":
    main()
