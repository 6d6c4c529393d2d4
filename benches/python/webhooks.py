"""Measures verified webhooks per second, beside the bare check of Python's `cryptography`.

`webhooks.py FILE` prints JSON lines.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

import hoopauth

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 5
PASSES = 10


class Scheme(TypedDict):
    """A key, and the signature of each body."""

    scheme: Literal["ed25519", "rsa-sha256", "hmac-sha256"]
    header: str
    key: str
    signatures: list[str]


def measure(via: str, scheme: str, stage: str, check: Callable[[int], object], count: int) -> None:
    rates = []
    for _ in range(TURNS):
        start = time.perf_counter()
        for _ in range(PASSES):
            for index in range(count):
                check(index)
        rates.append(PASSES * count / (time.perf_counter() - start))
    line = {
        "bench": "webhook_verify",
        "via": via,
        "n": 2048,
        "value": round(statistics.median(rates), 1),
    }
    print(json.dumps({**line, "unit": "1/s", "scheme": scheme, "stage": stage}))


def ours(schemes: list[Scheme], bodies: list[bytes]) -> None:
    keys = [
        hoopauth.WebhookKey(scheme["scheme"], scheme["scheme"], scheme["key"]) for scheme in schemes
    ]
    verifier = hoopauth.WebhookVerifier(keys=keys, any_app=True, platform_key=False)
    for scheme in schemes:
        headers = [{scheme["header"]: signature} for signature in scheme["signatures"]]

        def verify(index: int, headers: list[dict[str, str]] = headers) -> None:
            verifier.verify_signature(headers[index], bodies[index])

        def full(index: int, headers: list[dict[str, str]] = headers) -> None:
            verifier.verify(headers[index], bodies[index]).release()

        measure("python", scheme["scheme"], "verify", verify, len(bodies))
        measure("python", scheme["scheme"], "full", full, len(bodies))


def bare(schemes: list[Scheme], bodies: list[bytes]) -> None:
    for scheme in schemes:
        if scheme["scheme"] == "hmac-sha256":
            continue
        key = load_der_public_key(base64.b64decode(scheme["key"]))
        signatures = [base64.b64decode(text) for text in scheme["signatures"]]

        def check(index: int, key: object = key, signatures: list[bytes] = signatures) -> None:
            if isinstance(key, Ed25519PublicKey):
                key.verify(signatures[index], bodies[index])
            elif isinstance(key, RSAPublicKey):
                key.verify(signatures[index], bodies[index], PKCS1v15(), SHA256())

        measure("cryptography", scheme["scheme"], "primitive", check, len(bodies))


def main() -> None:
    material = json.loads(Path(sys.argv[1]).read_bytes())
    bodies = [body.encode() for body in material["bodies"]]
    ours(material["schemes"], bodies)
    bare(material["schemes"], bodies)


main()
