"""Authentication for programs that talk to the HoopAI platform.

    import hoopauth

    client = hoopauth.Client(private_integration_token="pit-...")
    client.headers("POST")  # {"Authorization": "Bearer pit-...", "Version": ...}

`Client` is where everything begins; every failure is an `Error`.
"""

from __future__ import annotations

from hoopauth._errors import (
    # BEGIN generated: imports
    AccountInactive,
    AuthorizationDenied,
    CallbackFailed,
    Cancelled,
    Config,
    Error,
    HttpStatus,
    InsufficientScope,
    Internal,
    InvalidArgument,
    InvalidPrivateIntegration,
    InvalidState,
    LeaseTimeout,
    MalformedResponse,
    Network,
    NoGrant,
    Panic,
    RateLimited,
    ReauthorizationRequired,
    SignatureInvalid,
    SignatureMissing,
    StateMismatch,
    Store,
    StoreCorrupt,
    StoreKey,
    Timeout,
    Tls,
    TokenRequestRejected,
    WebhookForeign,
    WebhookMalformed,
    WebhookReplayed,
    WebhookStale,
    WrongAccount,
    WrongTokenClass,
    # END generated
)
from hoopauth._hoopauth import (
    OPTIONS,
    WEBHOOK_OPTIONS,
    Change,
    Client,
    Context,
    Grant,
    Health,
    InstalledLocation,
    Maintenance,
    MintProgress,
    MintSummary,
    Operation,
    PendingAuthorization,
    RateLimit,
    Response,
    TransportRequest,
    WebhookDelivery,
    WebhookKey,
    WebhookVerifier,
    __version__,
    operation,
    scopes_for,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoopauth import scopes
    from hoopauth._headers import ResponseHeaders
    from hoopauth.types import Clock, Options, StoreLease, TokenStore, Transport, WebhookOptions

__all__ = [
    "OPTIONS",
    "WEBHOOK_OPTIONS",
    "Change",
    "Client",
    "Clock",
    "Context",
    "Grant",
    "Health",
    "InstalledLocation",
    "Maintenance",
    "MintProgress",
    "MintSummary",
    "Operation",
    "Options",
    "PendingAuthorization",
    "RateLimit",
    "Response",
    "ResponseHeaders",
    "StoreLease",
    "TokenStore",
    "Transport",
    "TransportRequest",
    "WebhookDelivery",
    "WebhookKey",
    "WebhookOptions",
    "WebhookVerifier",
    "__version__",
    "operation",
    "scopes",
    "scopes_for",
]
__all__ += [
    # BEGIN generated: exports
    "AccountInactive",
    "AuthorizationDenied",
    "CallbackFailed",
    "Cancelled",
    "Config",
    "Error",
    "HttpStatus",
    "InsufficientScope",
    "Internal",
    "InvalidArgument",
    "InvalidPrivateIntegration",
    "InvalidState",
    "LeaseTimeout",
    "MalformedResponse",
    "Network",
    "NoGrant",
    "Panic",
    "RateLimited",
    "ReauthorizationRequired",
    "SignatureInvalid",
    "SignatureMissing",
    "StateMismatch",
    "Store",
    "StoreCorrupt",
    "StoreKey",
    "Timeout",
    "Tls",
    "TokenRequestRejected",
    "WebhookForeign",
    "WebhookMalformed",
    "WebhookReplayed",
    "WebhookStale",
    "WrongAccount",
    "WrongTokenClass",
    # END generated
]

_LAZY = {
    "Clock": "types",
    "Options": "types",
    "ResponseHeaders": "_headers",
    "StoreLease": "types",
    "TokenStore": "types",
    "Transport": "types",
    "WebhookOptions": "types",
}


def __getattr__(name: str) -> object:
    """Import the protocols when they are asked for: `typing` takes longer than all the rest."""
    from importlib import import_module  # noqa: PLC0415

    if name in _LAZY:
        return getattr(import_module(f"hoopauth.{_LAZY[name]}"), name)
    if name == "scopes":
        return import_module("hoopauth.scopes")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """List the lazy names, too."""
    return sorted({*globals(), *_LAZY, "scopes"})
