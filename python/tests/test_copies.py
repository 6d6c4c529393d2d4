"""The wheel and the system library in one process, on one store: two copies of SQLite drop each
other's locks.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
from typing import Any

import pytest
from conftest import LOCATION, ROOT

import hoopauth

KEY = "0123456789abcdef"
INVALID_STATE = 2


class Library:
    """The C library, as far as it is needed here."""

    def __init__(self) -> None:
        named = os.environ.get("HOOPAUTH_LIBRARY")
        built = [
            ROOT / "target" / profile / "libhoopauth.so" for profile in ("ci", "debug", "release")
        ]
        found = [named] if named else [str(path) for path in built if path.exists()]
        assert found, "build the C library first: cargo build --profile ci -p hoopauth-capi --lib"
        self.library = ctypes.CDLL(found[0])

    def call(self, function: str, *arguments: Any) -> int:
        return getattr(self.library, f"hoopauth_{function}")(*arguments)

    def client(self, store: str) -> ctypes.c_void_p:
        config, client = ctypes.c_void_p(), ctypes.c_void_p()
        assert self.call("config_new", ctypes.byref(config), None) == 0
        options = {"client_id": "a-b", "client_secret": "c", "store": store, "store_key": KEY}
        for name, value in options.items():
            texts = (
                name.encode(),
                ctypes.c_size_t(len(name)),
                value.encode(),
                ctypes.c_size_t(len(value)),
            )
            assert self.call("config_set", config, *texts, None) == 0
        assert self.call("client_new", config, ctypes.byref(client), None) == 0
        self.call("config_free", config)
        return client

    def accounts(self, client: ctypes.c_void_p) -> int:
        accounts = ctypes.c_void_p()
        status = self.call("client_accounts", client, None, ctypes.byref(accounts), None)
        self.call("accounts_free", accounts)
        return status

    def free(self, client: ctypes.c_void_p) -> None:
        self.call("client_free", client)


def test_the_second_copy_on_one_file_is_refused(tmp_path: pathlib.Path) -> None:
    library = Library()
    store = f"sqlite:{tmp_path}/grants.db"

    def wheel() -> hoopauth.Client:
        return hoopauth.Client(client_id="a-b", client_secret="c", store=store, store_key=KEY)

    first, second = wheel(), library.client(store)
    first.import_grant(hoopauth.Grant(LOCATION, "token", expires_at=4e9))
    for _ in range(2):
        assert library.accounts(second) == INVALID_STATE
    # That it tried has cost the first one nothing.
    assert first.headers("GET", LOCATION)["Authorization"] == "Bearer token"
    first.import_grant(hoopauth.Grant(LOCATION, "newer", expires_at=4e9), replace=True)
    # Another file is another matter.
    elsewhere = library.client(f"sqlite:{tmp_path}/others.db")
    assert library.accounts(elsewhere) == 0
    library.free(elsewhere)

    first.close()
    del first
    assert library.accounts(second) == 0
    third = wheel()
    with pytest.raises(hoopauth.InvalidState, match="another copy of hoopauth"):
        third.accounts()
    library.free(second)
    assert third.export_grant(LOCATION).access_token == "newer"
