"""Authentication for programs that talk to the HoopAI platform.

    import hoopauth

    client = hoopauth.Client(private_integration_token="pit-...")
    client.headers("POST")  # {"Authorization": "Bearer pit-...", "Version": ...}

`Client` is where everything begins; every failure is an `Error`.
"""

from __future__ import annotations

from hoopauth._errors import (
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
    WebhookMalformed,
    WebhookReplayed,
    WebhookStale,
    WrongAccount,
    WrongTokenClass,
)
from hoopauth._hoopauth import (
    OPTIONS,
    Change,
    Client,
    Context,
    Grant,
    Health,
    Maintenance,
    PendingAuthorization,
    TransportRequest,
    __version__,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoopauth.types import Clock, Options, StoreLease, TokenStore, Transport

__all__ = [
    "OPTIONS",
    "AccountInactive",
    "AuthorizationDenied",
    "CallbackFailed",
    "Cancelled",
    "Change",
    "Client",
    "Clock",
    "Config",
    "Context",
    "Error",
    "Grant",
    "Health",
    "HttpStatus",
    "InsufficientScope",
    "Internal",
    "InvalidArgument",
    "InvalidPrivateIntegration",
    "InvalidState",
    "LeaseTimeout",
    "Maintenance",
    "MalformedResponse",
    "Network",
    "NoGrant",
    "Options",
    "Panic",
    "PendingAuthorization",
    "RateLimited",
    "ReauthorizationRequired",
    "SignatureInvalid",
    "SignatureMissing",
    "StateMismatch",
    "Store",
    "StoreCorrupt",
    "StoreKey",
    "StoreLease",
    "Timeout",
    "Tls",
    "TokenRequestRejected",
    "TokenStore",
    "Transport",
    "TransportRequest",
    "WebhookMalformed",
    "WebhookReplayed",
    "WebhookStale",
    "WrongAccount",
    "WrongTokenClass",
    "__version__",
]

_LAZY = frozenset({"Clock", "Options", "StoreLease", "TokenStore", "Transport"})


def __getattr__(name: str) -> object:
    """Import the protocols when they are asked for: `typing` takes longer than all the rest."""
    if name in _LAZY:
        from hoopauth import types  # noqa: PLC0415

        return getattr(types, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """List the lazy names, too."""
    return sorted({*globals(), *_LAZY})
