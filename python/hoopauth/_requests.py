"""The adapter for requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase

from hoopauth._adapter import AUTHENTICATION, NAMES, UNAUTHORIZED, not_repeated, put, refused_again
from hoopauth._errors import Error

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from hoopauth._hoopauth import Client


class Auth(AuthBase):
    """Authenticates requests to HoopAI: `requests.get(url, auth=client.requests_auth())`.

    A 401 that a refresh can cure is cured once and the request repeated, if its body can be sent again: bytes, text and
    seekable files can, a generator can't. Every answer carries `hoopauth_error`: None, or the exception that says what
    a refused one means (`hoopauth.InsufficientScope`, `hoopauth.WrongAccount`, ...) or, a `hoopauth.HttpStatus`, why it
    was not repeated; it is not raised.

    Raises, before anything is sent, what `Client.headers` raises, and `hoopauth.InvalidArgument` for a URL that is not
    the API's: the token goes nowhere else, and follows no redirect to another origin.
    """

    def __init__(self, client: Client, account: str | None = None) -> None:
        """Serve one account; None is the client's `default_account`."""
        self._client = client
        self._account = account

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the headers on a request, and look at its answer."""
        self._client.check_url(request.url or "")
        headers = request.headers
        ours = self._client.headers(request.method or "GET", self._account)
        put(ours, headers, dict(headers.lower_items()), NAMES)
        start = _position(request.body)

        def answered(response: Response, **sending: Any) -> Response:
            return self._answered(response, start, sending)

        request.register_hook("response", answered)  # type: ignore[no-untyped-call]
        return request

    def _answered(self, response: Response, start: int | None, sending: dict[str, Any]) -> Response:
        response.hoopauth_error = None  # type: ignore[attr-defined]
        sent = response.request.headers
        status = response.status_code
        if status not in AUTHENTICATION:
            self._client._note_limits(sent, status, response.headers.lower_items(), self._account)  # noqa: SLF001
            return response
        if "Authorization" not in sent:
            return response
        try:
            # After a redirect it may be another's answer, about another's token.
            method, url = response.request.method, response.request.url or ""
            self._client.check_url(url)
            headers = self._client.report(
                sent, status, response.headers, response.content, method, url, account=self._account
            )
        except Error as error:
            response.hoopauth_error = error  # type: ignore[attr-defined]
            return response
        if headers is None:
            return response
        if not _rewound(response.request.body, start):
            response.hoopauth_error = not_repeated(self._account)  # type: ignore[attr-defined]
            return response
        response.close()
        again = response.request.copy()
        again.headers["Authorization"] = headers["Authorization"]
        repeated: Response = response.connection.send(again, **sending)
        repeated.history.append(response)
        repeated.request = again
        self._repeated(repeated)
        return repeated

    def _repeated(self, response: Response) -> None:
        sent, status, error = response.request.headers, response.status_code, None
        if status == UNAUTHORIZED:
            error = refused_again(self._account)
        elif status in AUTHENTICATION:
            try:
                method, url = response.request.method, response.request.url
                self._client.report(
                    sent,
                    status,
                    response.headers,
                    response.content,
                    method,
                    url,
                    account=self._account,
                )
            except Error as refused:
                error = refused
        else:
            self._client._note_limits(sent, status, response.headers.lower_items(), self._account)  # noqa: SLF001
        response.hoopauth_error = error  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        """Show the account."""
        return f"<hoopauth requests auth of {self._account or 'the default account'}>"


def _position(body: object) -> int | None:
    """Where a file stands that is sent."""
    try:
        return int(body.tell())  # type: ignore[attr-defined]
    except (AttributeError, OSError, TypeError, ValueError):
        return None


def _rewound(body: object, start: int | None) -> bool:
    """Make a body ready to be sent again; whether it is."""
    if body is None or isinstance(body, str | bytes | bytearray | memoryview):
        return True
    if start is None:
        return False
    try:
        body.seek(start)  # type: ignore[attr-defined]
    except (AttributeError, OSError, TypeError, ValueError):
        return False
    return True
