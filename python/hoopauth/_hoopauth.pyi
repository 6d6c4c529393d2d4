from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Literal, NoReturn, TypeAlias, final

import httpx
from requests.auth import AuthBase
from typing_extensions import Self, Unpack

from hoopauth._errors import Error
from hoopauth._headers import ResponseHeaders
from hoopauth.types import Clock, Options, TokenStore, Transport, WebhookOptions

__all__ = [
    "ERROR_CODES",
    "OPTIONS",
    "WEBHOOK_OPTIONS",
    "Change",
    "Client",
    "Context",
    "ForeignRequest",
    "Grant",
    "Health",
    "InstalledLocation",
    "Maintenance",
    "MintProgress",
    "MintSummary",
    "Operation",
    "PendingAuthorization",
    "RateLimit",
    "Response",
    "TransportRequest",
    "WebhookDelivery",
    "WebhookKey",
    "WebhookVerifier",
    "__version__",
    "_close_all",
    "operation",
    "scopes_for",
]

__version__: Final[str]
ERROR_CODES: Final[dict[int, str]]
OPTIONS: Final[list[str]]
WEBHOOK_OPTIONS: Final[list[str]]

_Raised: TypeAlias = type[BaseException]
_Fields: TypeAlias = (
    Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str | bytes, str | bytes]]
)
# Values are text, numbers, truth, None, or lists of them: dicts of mixed ones have no narrower
# type.
_Params: TypeAlias = Mapping[str, object] | Iterable[tuple[str, object]]
_Received: TypeAlias = (
    Mapping[str, Any] | Mapping[bytes, Any] | Iterable[tuple[str | bytes, str | bytes]]
)

def _close_all() -> None: ...
def operation(method: str, path: str) -> Operation | None: ...
def scopes_for(operations: Sequence[str]) -> list[str]: ...

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
    def fresh_headers(
        self, method: str = "GET", account: str | None = None
    ) -> dict[str, str] | None: ...
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
        self,
        code: str,
        expected: str,
        *,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> str: ...
    def mint(
        self,
        location: str,
        company: str,
        *,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> None: ...
    def installed_locations(
        self, company: str, *, timeout: float | None = None, context: Context | None = None
    ) -> list[InstalledLocation]: ...
    def mint_all(
        self,
        company: str,
        progress: Callable[[MintProgress], object] | None = None,
        *,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> MintSummary: ...
    def request(
        self,
        method: str,
        path: str,
        *,
        account: str | None = None,
        params: _Params | None = None,
        json: Any = None,
        data: bytes | bytearray | str | None = None,
        headers: _Fields | None = None,
        version: str | None = None,
        timeout: float | None = None,
        max_body: int | None = None,
        any_status: bool = False,
        repeatable: bool = False,
        context: Context | None = None,
    ) -> Response: ...
    def _note_limits(
        self,
        headers: Mapping[str, str],
        status: int,
        answer_headers: Iterable[tuple[str | bytes, str | bytes]],
        account: str | None,
    ) -> None: ...
    @property
    def refused_private_integration_token(
        self,
    ) -> Literal["private_integration_token", "private_integration_token_next"] | None: ...
    def rate_limit(self, account: str) -> RateLimit | None: ...
    def webhook_verifier(
        self, keys: Iterable[WebhookKey] | None = None, **options: Unpack[WebhookOptions]
    ) -> WebhookVerifier: ...
    def apply(
        self,
        delivery: WebhookDelivery,
        *,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> Literal["nothing", "minted", "remembered", "removed", "outdated"]: ...
    def report(
        self,
        headers: Mapping[str, str],
        status: int,
        answer_headers: Mapping[str, str] | None = None,
        body: bytes | bytearray | str | None = None,
        method: str | None = None,
        url: str | None = None,
        *,
        account: str | None = None,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> dict[str, str] | None: ...
    def import_grant(
        self,
        grant: Grant,
        *,
        replace: bool = False,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> Literal["imported", "known", "kept"]: ...
    def export_grant(
        self, account: str, *, timeout: float | None = None, context: Context | None = None
    ) -> Grant: ...
    def accounts(
        self, *, timeout: float | None = None, context: Context | None = None
    ) -> list[str]: ...
    def remove(
        self, account: str, *, timeout: float | None = None, context: Context | None = None
    ) -> bool: ...
    def health(
        self, account: str, *, timeout: float | None = None, context: Context | None = None
    ) -> Health: ...
    def maintain(
        self, until: float, *, timeout: float | None = None, context: Context | None = None
    ) -> None: ...
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
class ForeignRequest:
    def __new__(cls, client: Client, account: str | None) -> Self: ...
    @property
    def error(self) -> Error | None: ...
    def look(
        self,
        headers: Mapping[str, str],
        status: int,
        answer_headers: Iterable[tuple[str | bytes, str | bytes]],
        url: object,
    ) -> bool: ...
    def report(
        self,
        headers: Mapping[str, str],
        status: int,
        answer_headers: Mapping[str, str],
        body: bytes,
        method: str,
        url: str,
        *,
        context: Context | None = None,
    ) -> dict[str, str] | None: ...
    def not_repeated(self) -> Error: ...

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
    # `expires_in` of 0 or less counts as 60 seconds, a missing one as 86 399.
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

@final
class Response:
    def __new__(
        cls, status: int, headers: _Fields | None = None, content: bytes | None = None
    ) -> Self: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> ResponseHeaders: ...
    @property
    def content(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    def json(self) -> Any: ...
    def __reduce__(self) -> tuple[type[Response], tuple[int, list[tuple[str, str]], bytes]]: ...

@final
class RateLimit:
    @property
    def limit(self) -> int | None: ...
    @property
    def remaining(self) -> int | None: ...
    @property
    def interval(self) -> float | None: ...
    @property
    def daily_limit(self) -> int | None: ...
    @property
    def daily_remaining(self) -> int | None: ...
    @property
    def daily_reset(self) -> float | None: ...
    @property
    def seen_at(self) -> float: ...

@final
class Operation:
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def version(self) -> str | None: ...
    @property
    def scope(self) -> str | None: ...
    @property
    def classes(self) -> tuple[Literal["location", "company"], ...]: ...
    @property
    def private_integration(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class InstalledLocation:
    @property
    def account(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def installed(self) -> bool: ...

@final
class MintSummary:
    @property
    def minted(self) -> int: ...
    @property
    def kept(self) -> int: ...
    @property
    def failed(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class MintProgress:
    @property
    def account(self) -> str: ...
    @property
    def error(self) -> Error | None: ...
    @property
    def summary(self) -> MintSummary: ...

@final
class WebhookKey:
    def __new__(
        cls,
        scheme: Literal["ed25519", "rsa-sha256", "hmac-sha256"],
        label: str,
        key: str,
        not_before: datetime | float | None = None,
        not_after: datetime | float | None = None,
    ) -> Self: ...
    @property
    def scheme(self) -> Literal["ed25519", "rsa-sha256", "hmac-sha256"]: ...
    @property
    def label(self) -> str: ...

@final
class WebhookVerifier:
    def __new__(
        cls,
        keys: Iterable[WebhookKey] | None = None,
        *,
        clock: Clock | None = None,
        **options: Unpack[WebhookOptions],
    ) -> Self: ...
    def verify(
        self,
        headers: _Received,
        body: bytes | bytearray | memoryview,
        *,
        timeout: float | None = None,
        context: Context | None = None,
    ) -> WebhookDelivery: ...
    def verify_signature(self, headers: _Received, body: bytes | bytearray | memoryview) -> str: ...
    def verify_request(
        self, request: object, *, timeout: float | None = None, context: Context | None = None
    ) -> WebhookDelivery: ...
    def verify_request_async(self, request: object) -> Coroutine[Any, Any, WebhookDelivery]: ...

@final
class WebhookDelivery:
    @property
    def type(self) -> str: ...
    @property
    def webhook_id(self) -> str: ...
    @property
    def timestamp(self) -> datetime | None: ...
    @property
    def account(self) -> str | None: ...
    @property
    def app_id(self) -> str | None: ...
    @property
    def body(self) -> bytes: ...
    def json(self) -> Any: ...
    @property
    def key(self) -> str: ...
    def confirm(self, *, timeout: float | None = None, context: Context | None = None) -> None: ...
    def release(self, *, timeout: float | None = None, context: Context | None = None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: _Raised | None = None,  # noqa: PYI036 - `type` is a property here
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...
    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(
        self,
        kind: _Raised | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> Coroutine[Any, Any, None]: ...
