"""Protocols of the objects that a program may bring, and the options: for annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from hoopauth._hoopauth import TransportRequest


class TokenStore(Protocol):
    """A place for grants: any object with the methods `load`, `save` and `accounts`.

    Each row belongs to an app and an account. It has a version, which rises by one at each `save`
    and never restarts, and opaque data: keep the bytes unchanged. The data is sealed if the option
    `store_key` is set; without it, the data holds tokens. hoopauth calls the methods on any thread,
    concurrently. They must not call the client.

    `hoopauth.types.SharedTokenStore` has the optional methods.
    """

    def load(self, app: str, account: str, /) -> tuple[int, bytes] | None:
        """Return version and data, or None if the row was never saved."""

    def save(
        self,
        app: str,
        account: str,
        expected: int,
        data: bytes,
        columns: tuple[bool, bool, float, float],
        /,
    ) -> bool:
        """Store `data` as version `expected + 1` if the stored version is `expected`.

        An `expected` of 0 means that there is no row. Return True if the data was stored, else
        False; anything else is `hoopauth.CallbackFailed`. Compare and set in one step, among all
        who share the store. The data must be durable when you return True. `columns` are for
        `SharedTokenStore.rows`; a store without that method may ignore them.
        """

    def accounts(self, app: str, /) -> Iterable[str]:
        """Return the accounts of all rows of an app, in any order."""


class SharedTokenStore(TokenStore, Protocol):
    """The methods of a store that many processes share.

    Each of them may be missing or None; its documentation says what that costs.
    """

    shared: bool
    """True promises that a forked child may use this same object. If missing: the client raises
    `hoopauth.InvalidState` in the child.
    """

    def rows(self, app: str, /) -> Iterable[tuple[str, tuple[bool, bool, float, float]]]:
        """Return the account and the last saved `columns` of each row of an app, in any order.

        The columns are: True if there is a grant (a removed grant keeps its row); True if a
        refresh is open; the end of the access token; the moment before which maintenance leaves the
        account alone. Both moments are seconds since the epoch. If missing: maintenance reads every
        row, every five seconds.
        """

    def lease(self, app: str, account: str, wait: float, /) -> StoreLease | None:
        """Take the exclusive right to refresh one account; wait at most `wait` seconds.

        Return None if another process holds it all that time. The right must end with the process
        that holds it. If missing: the right holds in this process only. Two processes may then
        refresh one account at once; HoopAI's window of 30 seconds repairs most cases, but not all.
        """

    def take_slot(
        self,
        app: str,
        per_minute: int,
        priority: Literal["soft", "normal", "recovery"],
        now: float,
        /,
    ) -> float:
        """Count one token request. Return 0.0, or the seconds until there is room.

        `"recovery"` asks for a lost answer: it may exceed `per_minute` by as much again, and by at
        least 5. If missing: each process has the whole budget.
        """

    def claim(self, app: str, claim: bytes, until: float, now: float, /) -> bool:
        """Remember `claim` until `until`. Return False if it was remembered already.

        If missing: a redirect is used once in each process.
        """

    def unclaim(self, app: str, claim: bytes, /) -> None:
        """Forget a claim."""

    def changes(self) -> int:
        """Return a number that changes with each saved row, whichever process saved it.

        hoopauth asks every few seconds. Return at once: a caller with a fresh token waits for it.
        If missing: changes of other processes are noticed only when a token is due or refused.
        """


class StoreLease(Protocol):
    """The exclusive right to refresh one account."""

    def release(self) -> object:
        """Give the right back."""


class Transport(Protocol):
    """A carrier of HTTP requests.

    hoopauth calls it on any thread, concurrently. It must not call the client.
    """

    def send(
        self, request: TransportRequest, /
    ) -> tuple[
        int,
        Mapping[str, str]
        | Mapping[bytes, bytes]
        | Iterable[tuple[str | bytes, str | bytes]]
        | None,
        bytes | bytearray | memoryview | str | None,
    ]:
        """Send the request, and return status, headers and body of the answer.

        4xx and 5xx are answers, too. The status is a whole number from 100 to 599. Headers are a
        mapping, an iterable of pairs, or None, with names and values of `str` or `bytes`; hoopauth
        ignores other types. The body is bytes-like, `str` (read as UTF-8) or None.

        Do not follow redirects, give up after `request.timeout` seconds, and do not return a body
        longer than `request.max_body`. `request.timeout` is the remaining time. It raises
        `hoopauth.Timeout` if no time remains, because others may have spent the refresh token
        since. If no answer came, raise `hoopauth.Network`, `hoopauth.Timeout` or `hoopauth.Tls`,
        and set its `sent = False` if certainly no byte was sent. Any other exception is
        `hoopauth.CallbackFailed`.
        """


class Clock(Protocol):
    """A source of the client's time. Each call asks it, so it must be quick.

    A result that is not a number of seconds from 0 to the year 9999 is `hoopauth.CallbackFailed`,
    and so is an exception. A method `sleep(seconds)` is used if there is one.
    """

    def now(self) -> float:
        """Return the seconds since the epoch."""

    def monotonic(self) -> float:
        """Return the seconds on a clock that never jumps."""


class Options(TypedDict, total=False):
    """The options, as keyword arguments of `Client` and `Client.from_env`."""

    private_integration_token: str | None
    """A Private Integration token: the credential of programs that serve one account."""
    private_integration_token_next: str | None
    """The second Private Integration token during a rotation; both work for seven days. When the
    platform refuses the token in use, in whatever words, hoopauth tries the other token once and
    keeps it in use. The log and `refused_private_integration_token` name the refused token.
    """
    access_token: str | None
    """A static access token from elsewhere. It is never refreshed."""
    client_id: str | None
    """The OAuth client id, `<app id>-<suffix>`."""
    client_secret: str | None
    """The OAuth client secret: printable ASCII, spaces inside it included."""
    redirect_uri: str | None
    """The URL that the authorization page sends the user back to, exactly as registered with the
    app. It has no fragment, and no parameter `state`, `code` or `error` of its own: the platform
    adds them.
    """
    scopes: str | Sequence[str] | None
    """The scopes to ask for, separated by spaces (not by commas). Ask for the least."""
    user_type: Literal["Location", "Company"] | None
    """`Location` or `Company`: the class of token that a code exchange asks for. Unset: the class
    that the user chose.
    """
    default_account: str | None
    """The account of every call that names none."""
    api_base: str | None
    """The API's base URL."""
    authorize_url: str | None
    """The URL of the authorization page."""
    token_url: str | None
    """The URL of the token endpoint."""
    location_token_url: str | None
    """The URL of the endpoint that mints a location's token from its company's token."""
    api_version: str | None
    """The `Version` header of the program's requests. The library's own calls (the list of
    installed locations, minting) keep `2021-07-28`.
    """
    store: str | None
    """The store of the grants: `sqlite:` (a file of this user that processes share, and a key
    beside it, both made at the first use: `$XDG_DATA_HOME/hoopauth/grants.db`, else
    `~/.local/share/hoopauth/grants.db`; on macOS in `~/Library/Application Support`, on Windows in
    `%LOCALAPPDATA%`), `sqlite:PATH` (a file at a place of your own; needs `store_key`), `memory:`
    (this process only; it ends with the process), or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`
    (a PostgreSQL database, 14 or later, that computers share; needs `store_key`). PostgreSQL's own
    URL parameters apply, such as `sslmode` and `sslrootcert`. If `sslrootcert` names a file, only
    the authorities in it are trusted; `sslrootcert=system` goes with `sslmode=verify-full` only.
    Without `sslmode`, hosts other than loopback must show a certificate for their name.
    `hoopauth_schema=NAME` names the schema (`hoopauth`), which is made at the first use. Do not
    connect through a pooler in transaction mode.
    """
    store_key: str | None
    """The secret that seals grants and pending authorizations; at least 16 bytes. Several secrets
    are separated by spaces: the first seals, all open. A grant that an older secret sealed is
    sealed with the first when it is refreshed; maintenance does so with all of them. A sealed grant
    opens for its app, account and generation only, so that nobody can put an older one in its
    place. Or `file:PATH`: a file that holds the secret as UTF-8 text; a byte order mark is not part
    of it. As with the database, hoopauth takes away the rights of others to read the file, and
    refuses the file if it can't; root's files may be readable by their group.
    """
    refresh_before: float | str | None
    """Seconds of remaining life below which callers wait for a refresh; never more than a tenth of
    the token's life.
    """
    timeout: float | str | None
    """Seconds for a whole call with all its tries and waits, those for the store and for other
    callers included. A grant that has just arrived gets up to one second more to be saved.
    """
    attempt_timeout: float | str | None
    """Seconds for one HTTP attempt; at most 9, so that two fit into the 20 seconds in which a
    refresh can be repeated.
    """
    connect_timeout: float | str | None
    """Seconds to connect."""
    max_wait: float | str | None
    """Seconds that a caller waits at most for a refresh under way elsewhere or for the
    token-request budget.
    """
    max_retries: int | str | None
    """Repeats of a failed request at most. A refresh is repeated at most once within a call: always
    after a lost answer, and after an answer that is a failure only if this is not 0.
    """
    token_requests_per_minute: int | str | None
    """The budget of the token endpoint: requests per minute of all processes that share the store.
    Above 2, the last one is kept for the repeat of a lost answer. Accounts that keep failing while
    others are served share a tenth of it.
    """
    max_response_bytes: int | str | None
    """The longest body to accept in an API answer, in bytes after decompression."""
    documented_version: bool | str | None
    """`true`: `request` sends the `Version` that the platform documents for the operation instead
    of `api_version`, if the platform documents one.
    """
    scope_preflight: Literal["off", "warn", "refuse"] | None
    """The reaction of `request` to an operation that the grant's scopes do not cover: `off` sends
    it, `warn` logs a warning and sends it, `refuse` fails with `INSUFFICIENT_SCOPE`. Operations and
    scopes that are not documented always pass.
    """
    pacing: bool | str | None
    """`true`: `request` holds requests back, per account and in this process, before the platform
    would refuse them.
    """
    requests_per_interval: int | str | None
    """Requests of one account that pacing lets through in each interval."""
    request_interval: float | str | None
    """The length of the interval of pacing, in seconds."""
    requests_per_day: int | str | None
    """Requests of one account that pacing lets through in a day (UTC)."""
    cache_accounts: int | str | None
    """Accounts whose headers are kept in memory at most. 0: all accounts in use, or 4096 with a
    static token.
    """
    ca_file: str | PathLike[str] | None
    """A PEM file whose certificates are trusted beside the system's; each stands on lines of its
    own. `SSL_CERT_FILE` and `SSL_CERT_DIR` of the environment replace the system's certificates.
    """
    proxy: str | None
    """The HTTP proxy for everything but loopback (`localhost`, `127.0.0.0/8`, `::1`), as
    `http://user:password@host:port`. Unset: the proxy of the environment (`HTTPS_PROXY`,
    `ALL_PROXY`, with the exceptions of `NO_PROXY`), in capitals or small letters. A proxy that
    can't be read is `CONFIG`, and nothing is sent without it. SOCKS is not supported.
    """
    user_agent: str | None
    """The `User-Agent` header. Unset: `hoopauth/<version> (<language>)`."""


class WebhookOptions(TypedDict, total=False):
    """The options of a verifier.

    They are keyword arguments of `WebhookVerifier` and `Client.webhook_verifier`.
    """

    platform_key: bool | str | None
    """`true` accepts signatures of the platform's Ed25519 key, under the label `platform`."""
    platform_rsa_key: bool | str | None
    """`true` accepts signatures of the platform's older RSA key, under the label `platform-rsa`;
    the platform announced its end for 1 September 2026.
    """
    app_id: str | None
    """The app whose events are accepted: the platform signs the events of all apps with one key.
    Unset: the part of the client's `client_id` before the `-`. An event that names no app is
    accepted if the client has a grant for its account or company, or if a shared secret signed it.
    """
    any_app: bool | str | None
    """`true` accepts events of other apps, and events that name no app and belong to an account
    without a grant of the client. An INSTALL or UNINSTALL that does not name this app is never
    accepted.
    """
    max_age: float | str | None
    """The age, in seconds, of the oldest event to accept. For an hour and more, the platform
    repeats an event that was answered with 429; `300` refuses such repeats. With `replay` in a
    store, which others share, at most the default.
    """
    without_timestamp: bool | str | None
    """`true` accepts events without a `timestamp`, or with one in an unknown form; `false` refuses
    them. Unset: they are accepted if a shared secret signed them. Such an event, once handled, is
    refused for as long as `max_age`, and no longer; without a `webhookId` too, for 15 minutes,
    because its next occurrence looks the same.
    """
    replay: Literal["store", "memory", "off"] | None
    """The place that remembers the ids of deliveries: `store` (the client's store, for all
    processes that share it), `memory` (this process, until it ends) or `off` (the program does it).
    Unset: `store` with a client of OAuth, else `memory`. With a client whose own store is `memory:`
    both are the same bounded memory.
    """
    replay_memory: int | str | None
    """Deliveries that `memory` remembers. Events as old as one that it had to forget are refused.
    """
    claim_seconds: float | str | None
    """Seconds that the handling of a delivery may take: a delivery that is neither confirmed nor
    released by then is accepted again.
    """
    max_body: int | str | None
    """The longest body to accept, in bytes. Adapters stop reading there."""
