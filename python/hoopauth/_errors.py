"""The exceptions: one base, and one class for each code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from hoopauth._hoopauth import Response

__all__ = [
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


class Error(Exception):
    """The base of all exceptions of hoopauth.

    The message says what happened and what to do next. An exception never contains a secret.
    """

    code: int = 0
    """The number of the failure, the same in every language."""
    name: ClassVar[str] = "UNKNOWN"
    """The name of the code, such as `NO_GRANT`."""

    message: str
    """What happened and what to do next."""
    status: int | None
    """The HTTP status, if an answer caused the error."""
    retry_after: float | None
    """Seconds to wait before the next try, if that is known. Until then a failed refresh gives
    the same error.
    """
    retryable: bool
    """True if the same call can succeed later although nobody changes anything."""
    trace_id: str | None
    """The server's `traceId`, for HoopAI's support."""
    account: str | None
    """The account of the failed call."""
    server_message: str | None
    """The server's own words, cleaned and cut."""
    response: Response | None
    """The answer, if `Client.request` ended in one."""

    def __init__(  # noqa: PLR0913
        self,
        message: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
        trace_id: str | None = None,
        account: str | None = None,
        server_message: str | None = None,
        response: Response | None = None,
    ) -> None:
        """Make an error. hoopauth does this; transports and tests may."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_after = retry_after
        self.retryable = retryable
        self.trace_id = trace_id
        self.account = account
        self.server_message = server_message
        self.response = response

    def __str__(self) -> str:
        """Return the message and the name of the code."""
        return f"{self.message} [{self.name}]"

    def __reduce__(self) -> tuple[object, ...]:
        """Let the exception cross processes: pools send exceptions home."""
        return (type(self), (self.message,), self.__dict__)


# BEGIN generated: errors


class InvalidArgument(Error):
    """An argument is empty, too long, not UTF-8 or of the wrong form: correct the argument that
    the message names.
    """

    code = 1
    name = "INVALID_ARGUMENT"


class InvalidState(Error):
    """The client is closed, is a parent process's, is called from its own callback, or has no
    credential for this: correct the program as the message says.
    """

    code = 2
    name = "INVALID_STATE"


class Cancelled(Error):
    """The caller cancelled the wait: nothing; a refresh under way goes on."""

    code = 3
    name = "CANCELLED"


class Config(Error):
    """An option is unknown, missing or wrong: correct the option that the message names."""

    code = 10
    name = "CONFIG"


class Network(Error):
    """The server could not be reached or the connection broke: check the network; try again,
    after `retry_after` if it is set.
    """

    code = 20
    name = "NETWORK"


class Timeout(Error):
    """No answer came in time: try again, after `retry_after` if it is set; a refresh under way
    goes on.
    """

    code = 21
    name = "TIMEOUT"


class Tls(Error):
    """The server's certificate could not be verified: look at the computer's clock and at the
    server's certificate, or name its authority with `ca_file`; the message says which.
    """

    code = 22
    name = "TLS"


class ReauthorizationRequired(Error):
    """The grant is over for good: send the user through authorization again."""

    code = 30
    name = "REAUTHORIZATION_REQUIRED"


class NoGrant(Error):
    """There is no grant for this account: send the user through authorization, or import a
    grant.
    """

    code = 31
    name = "NO_GRANT"


class StateMismatch(Error):
    """The redirect's `state` is missing, wrong, expired or was used before: begin the
    authorization again.
    """

    code = 32
    name = "STATE_MISMATCH"


class AuthorizationDenied(Error):
    """The user, or the platform, refused the authorization: ask the user; begin again."""

    code = 33
    name = "AUTHORIZATION_DENIED"


class TokenRequestRejected(Error):
    """The token endpoint refuses the request, for its client id, secret, code or parameters:
    correct what the message names; if it names the code, begin the login again.
    """

    code = 34
    name = "TOKEN_REQUEST_REJECTED"


class AccountInactive(Error):
    """The account is paused or unpaid; its grant is kept: activate the account at HoopAI."""

    code = 35
    name = "ACCOUNT_INACTIVE"


class MalformedResponse(Error):
    """The answer is not what the protocol allows, or comes from something on the way, such as a
    firewall: check `token_url`, and firewalls, proxies and login pages on the way; try again
    after `retry_after`.
    """

    code = 36
    name = "MALFORMED_RESPONSE"


class RateLimited(Error):
    """A limit is reached: try again after `retry_after`."""

    code = 37
    name = "RATE_LIMITED"


class InsufficientScope(Error):
    """The token lacks a scope: add the scope to the app and to `scopes`, and authorize again."""

    code = 40
    name = "INSUFFICIENT_SCOPE"


class WrongTokenClass(Error):
    """A company's token where a location's is needed, or the reverse: use the other account; if
    a refresh meets this and it stays, authorize again.
    """

    code = 41
    name = "WRONG_TOKEN_CLASS"


class WrongAccount(Error):
    """The token speaks for another account than the one that was asked for: use the account that
    the request names; if a refresh meets this and it stays, authorize again.
    """

    code = 42
    name = "WRONG_ACCOUNT"


class InvalidPrivateIntegration(Error):
    """The platform refuses the Private Integration token: copy the current token from the
    account's settings.
    """

    code = 43
    name = "INVALID_PRIVATE_INTEGRATION"


class HttpStatus(Error):
    """Another HTTP status that is a failure: do what the message says; if `retryable`, try
    again, after `retry_after` if it is set.
    """

    code = 44
    name = "HTTP_STATUS"


class Store(Error):
    """The store could not read or write: repair the store as the message says, its folder,
    rights, space or server.
    """

    code = 50
    name = "STORE"


class LeaseTimeout(Error):
    """Another process or thread still refreshes this account after `max_wait`, or handles this
    webhook: try again; answer 429 to the webhook.
    """

    code = 51
    name = "LEASE_TIMEOUT"


class StoreKey(Error):
    """The store's key is missing or not the one that its rows were sealed with: set `store_key`
    to the key that the rows were sealed with.
    """

    code = 52
    name = "STORE_KEY"


class StoreCorrupt(Error):
    """A stored row can't be opened or read: authorize or import this account again, or do what
    the message says; look for who else writes to the store.
    """

    code = 53
    name = "STORE_CORRUPT"


class SignatureMissing(Error):
    """The webhook carries no signature, or none of a scheme that a key is there for: answer 401."""

    code = 60
    name = "SIGNATURE_MISSING"


class SignatureInvalid(Error):
    """The webhook's signature is malformed, or no key made it: answer 401; check the keys, and
    that the body is what came byte for byte.
    """

    code = 61
    name = "SIGNATURE_INVALID"


class WebhookStale(Error):
    """The webhook is older than `max_age`, from the future, or has no time: answer 400; check
    the computer's clock.
    """

    code = 62
    name = "WEBHOOK_STALE"


class WebhookReplayed(Error):
    """The webhook was handled before: answer 200, and do nothing."""

    code = 63
    name = "WEBHOOK_REPLAYED"


class WebhookMalformed(Error):
    """The webhook's body can't be read as an event, or is longer than `max_body`: answer 400."""

    code = 64
    name = "WEBHOOK_MALFORMED"


class WebhookForeign(Error):
    """The webhook is genuine, but of another app, or of an account without a grant here: answer
    200, and do nothing.
    """

    code = 65
    name = "WEBHOOK_FOREIGN"


class Panic(Error):
    """A panic was caught at a language border: report it, with the message."""

    code = 90
    name = "PANIC"


class Internal(Error):
    """A defect of hoopauth, or a computer without a resource that it needs: report it, with the
    message; try again if `retryable`.
    """

    code = 91
    name = "INTERNAL"


class CallbackFailed(Error):
    """A callback of the program failed: correct your store, transport, clock or hook."""

    code = 92
    name = "CALLBACK_FAILED"


# END generated


def make(  # noqa: PLR0913, PLR0917
    code: int,
    message: str,
    status: int | None,
    retry_after: float | None,
    retryable: bool,  # noqa: FBT001
    trace_id: str | None,
    account: str | None,
    server_message: str | None,
    response: Response | None,
) -> Error:
    """Make the exception of a code; an unknown one makes the base, with that code."""
    error = BY_CODE.get(code, Error)(
        message,
        status=status,
        retry_after=retry_after,
        retryable=retryable,
        trace_id=trace_id,
        account=account,
        server_message=server_message,
        response=response,
    )
    error.code = code
    return error


BY_CODE: dict[int, type[Error]] = {kind.code: kind for kind in Error.__subclasses__()}
