from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Literal, NoReturn, final

import httpx
from requests.auth import AuthBase
from typing_extensions import Self, Unpack

from hoopauth.types import Clock, Options, TokenStore, Transport

__all__ = [
    "ERROR_CODES",
    "OPTIONS",
    "Change",
    "Client",
    "Context",
    "Grant",
    "Health",
    "Maintenance",
    "PendingAuthorization",
    "TransportRequest",
    "__version__",
    "_close_all",
]

__version__: Final[str]
ERROR_CODES: Final[dict[int, str]]
OPTIONS: Final[list[str]]

def _close_all() -> None: ...

@final
class Client:
    def __new__(
        cls,
        *,
        token_store: TokenStore | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        on_change: Callable[[Change], object] | None = None,
        **options: Unpack[Options],
    ) -> Self: ...
    @staticmethod
    def from_env(
        *,
        token_store: TokenStore | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        on_change: Callable[[Change], object] | None = None,
        **options: Unpack[Options],
    ) -> Client: ...
    def headers(
        self,
        method: str = "GET",
        account: str | None = None,
        *,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> dict[str, str]: ...
    def fresh_headers(self, method: str = "GET", account: str | None = None) -> dict[str, str] | None: ...
    def check_url(self, url: str) -> None: ...
    def authorization_request(
        self,
        *,
        redirect_uri: str | None = None,
        scopes: str | Sequence[str] | None = None,
        pkce: bool = False,
        login_window_self: bool = False,
        version_id: str | None = None,
    ) -> PendingAuthorization: ...
    def open_pending(self, sealed: str) -> PendingAuthorization: ...
    def complete(
        self,
        pending: PendingAuthorization,
        redirect: str,
        *,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> str: ...
    def complete_unsolicited(
        self, code: str, expected: str, *, timeout: float | None = None, context: Context | None = None
    ) -> str: ...
    def mint(
        self, location: str, company: str, *, timeout: float | None = None, context: Context | None = None
    ) -> None: ...
    def report(
        self,
        headers: Mapping[str, str],
        status: int,
        answer_headers: Mapping[str, str] | None = None,
        body: bytes | bytearray | str | None = None,
        *,
        account: str | None = None,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> dict[str, str] | None: ...
    def import_grant(
        self, grant: Grant, *, replace: bool = False, timeout: float | None = None, context: Context | None = None
    ) -> Literal["imported", "known", "kept"]: ...
    def export_grant(self, account: str, *, timeout: float | None = None, context: Context | None = None) -> Grant: ...
    def accounts(self, *, timeout: float | None = None, context: Context | None = None) -> list[str]: ...
    def remove(self, account: str, *, timeout: float | None = None, context: Context | None = None) -> bool: ...
    def health(self, account: str, *, timeout: float | None = None, context: Context | None = None) -> Health: ...
    def maintain(self, until: float, *, timeout: float | None = None, context: Context | None = None) -> None: ...
    def maintain_in_background(self) -> Maintenance: ...
    def requests_auth(self, account: str | None = None) -> AuthBase: ...
    def httpx_auth(self, account: str | None = None) -> httpx.Auth: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...
    def __reduce__(self) -> NoReturn: ...

@final
class Context:
    def __new__(cls, timeout: float | None = None) -> Self: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...

@final
class Grant:
    def __new__(
        cls,
        account: str,
        access_token: str,
        *,
        refresh_token: str | None = None,
        expires_at: float | None = None,
        scopes: Sequence[str] | None = None,
        company_id: str | None = None,
    ) -> Self: ...
    @property
    def account(self) -> str: ...
    @property
    def access_token(self) -> str: ...
    @property
    def refresh_token(self) -> str | None: ...
    @property
    def expires_at(self) -> float: ...
    @property
    def obtained_at(self) -> float: ...
    @property
    def authorized_at(self) -> float: ...
    @property
    def scopes(self) -> list[str]: ...
    @property
    def company_id(self) -> str | None: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def minted(self) -> bool: ...

@final
class PendingAuthorization:
    @property
    def url(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def redirect_uri(self) -> str: ...
    @property
    def expires_at(self) -> float: ...
    def seal(self) -> str: ...

@final
class Health:
    @property
    def expires_at(self) -> float: ...
    @property
    def refreshed_at(self) -> float: ...
    @property
    def authorized_at(self) -> float: ...
    @property
    def last_error(self) -> str | None: ...
    @property
    def needs_reauthorization(self) -> bool: ...
    @property
    def unsaved(self) -> bool: ...
    @property
    def idle_days_left(self) -> int | None: ...
    @property
    def scopes(self) -> list[str]: ...

@final
class Change:
    @property
    def account(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def kind(self) -> Literal["saved", "refreshed", "unsaved", "removed", "refused"]: ...

@final
class Maintenance:
    def stop(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

@final
class TransportRequest:
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def timeout(self) -> float: ...
    @property
    def max_body(self) -> int: ...
