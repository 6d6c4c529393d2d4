"""Logs in through the authorization page, calls the API, and goes on after the token has expired.

Set `HOOPAUTH_CLIENT_ID`, `HOOPAUTH_CLIENT_SECRET`, `HOOPAUTH_REDIRECT_URI` and `HOOPAUTH_SCOPES`,
then run `python examples/python/oauth.py` with `hoopauth[requests]` installed: open the URL it
prints, and paste the URL that the browser ends at.
"""

from __future__ import annotations

import os

import requests

import hoopauth


def main() -> None:
    client = hoopauth.Client.from_env()
    base = os.environ.get("HOOPAUTH_API_BASE", "https://services.leadconnectorhq.com")

    pending = client.authorization_request()
    print(f"open this page: {pending.url}")
    account = client.complete(pending, input("then paste the URL that the browser was sent to:\n"))
    print(f"authorized {account}")

    # A token that was refused although it should live is replaced, once, and the request repeated.
    location = account.partition(":")[2]
    answer = requests.get(
        f"{base}/locations/{location}", auth=client.requests_auth(account), timeout=30
    )
    print(f"{answer.status_code}: {answer.text}")


if __name__ == "__main__":
    main()
