"""Calls the API with a Private Integration token from the environment.

`HOOPAI_TOKEN=pit-... LOCATION_ID=... python examples/python/private_integration.py`,
`hoopauth[requests]` installed.
"""

from __future__ import annotations

import os

import requests

import hoopauth


def main() -> None:
    client = hoopauth.Client.from_env()
    location = os.environ["LOCATION_ID"]
    base = os.environ.get("HOOPAUTH_API_BASE", "https://services.leadconnectorhq.com")

    answer = requests.get(f"{base}/locations/{location}", auth=client.requests_auth(), timeout=30)
    print(f"{answer.status_code}: {answer.text}")


if __name__ == "__main__":
    main()
