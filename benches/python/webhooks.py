"""How many webhooks are verified in a second: `webhooks.py FILE [cryptography]` prints JSON lines.

With `cryptography`, that library's bare check instead of ours.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

TURNS = 5
PASSES = 10


def measure(via: str, scheme: str, stage: str, check: Callable[[int], object], count: int) -> None:
    rates = []
    for _ in range(TURNS):
        start = time.perf_counter()
        for _ in range(PASSES):
            for index in range(count):
                check(index)
        rates.append(PASSES * count / (time.perf_counter() - start))
    line = {"bench": "webhook_verify", "via": via, "n": 2048, "value": round(statistics.median(rates), 1)}
    print(json.dumps({**line, "unit": "1/s", "scheme": scheme, "stage": stage}))


def ours(material: dict[str, list[dict[str, list[bytes]]]], bodies: list[bytes]) -> None:
    import hoopauth

    schemes = material["schemes"]
    keys = [hoopauth.WebhookKey(part["scheme"], part["scheme"], part["key"]) for part in schemes]
    verifier = hoopauth.WebhookVerifier(keys=keys, any_app=True)
    for part in schemes:
        headers = [{part["header"]: signature} for signature in part["signatures"]]

        def verify(index: int, headers: list[dict[str, str]] = headers) -> None:
            verifier.verify_signature(headers[index], bodies[index])

        def full(index: int, headers: list[dict[str, str]] = headers) -> None:
            verifier.verify(headers[index], bodies[index]).release()

        measure("python", part["scheme"], "verify", verify, len(bodies))
        measure("python", part["scheme"], "full", full, len(bodies))


def cryptography(material: dict[str, list[dict[str, list[bytes]]]], bodies: list[bytes]) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    for part in material["schemes"]:
        if part["scheme"] == "hmac-sha256":
            continue
        key = load_der_public_key(base64.b64decode(part["key"]))
        signatures = [base64.b64decode(text) for text in part["signatures"]]

        def check(index: int, key: object = key, signatures: list[bytes] = signatures) -> None:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signatures[index], bodies[index])
            elif isinstance(key, RSAPublicKey):
                key.verify(signatures[index], bodies[index], PKCS1v15(), SHA256())

        measure("cryptography", part["scheme"], "primitive", check, len(bodies))


def main() -> None:
    material = json.loads(Path(sys.argv[1]).read_bytes())
    bodies = [body.encode() for body in material["bodies"]]
    (cryptography if sys.argv[2:] == ["cryptography"] else ours)(material, bodies)


main()
