"""The adapter for requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase

from hoopauth._adapter import NAMES, put
from hoopauth._hoopauth import ForeignRequest

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from hoopauth._hoopauth import Client


class Auth(AuthBase):
    """Authenticates requests to HoopAI: `requests.get(url, auth=client.requests_auth())`.

    A 401 that a refresh can cure is cured once, and the request is repeated if its body can be sent
    again: bytes, text and seekable files can, a generator can't. Each answer has an attribute
    `hoopauth_error`: None, or an exception that is not raised. The exception explains a refusal
    (`hoopauth.InsufficientScope`, `hoopauth.WrongAccount`, ...), or, as a `hoopauth.HttpStatus`,
    why the request was not repeated.

    Before anything is sent, this raises the errors of `Client.headers`, and
    `hoopauth.InvalidArgument` for a URL that is not the API's. The token goes nowhere else, and
    follows no redirect to another origin.
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
        request = ForeignRequest(self._client, self._account)
        headers = _judged(request, response)
        if headers is None:
            return response
        if not _rewound(response.request.body, start):
            response.hoopauth_error = request.not_repeated()  # type: ignore[attr-defined]
            return response
        response.close()
        again = response.request.copy()
        again.headers["Authorization"] = headers["Authorization"]
        repeated: Response = response.connection.send(again, **sending)
        repeated.history.append(response)
        repeated.request = again
        _judged(request, repeated)
        return repeated

    def __repr__(self) -> str:
        """Show the account."""
        return f"<hoopauth requests auth of {self._account or 'the default account'}>"


def _judged(request: ForeignRequest, response: Response) -> dict[str, str] | None:
    """Tell the core about an answer; return the headers for a repeat."""
    sent, status, answer = response.request, response.status_code, response.headers
    url, headers = sent.url or "", None
    if request.look(sent.headers, status, answer.lower_items(), url):
        method, body = sent.method or "GET", response.content
        headers = request.report(sent.headers, status, answer, body, method, url)
    response.hoopauth_error = request.error  # type: ignore[attr-defined]
    return headers


def _position(body: object) -> int | None:
    """Return the position of a file that is sent, or None if it has none."""
    try:
        return int(body.tell())  # type: ignore[attr-defined]
    except (AttributeError, OSError, TypeError, ValueError):
        return None


def _rewound(body: object, start: int | None) -> bool:
    """Make a body ready to be sent again; return True if it is."""
    if body is None or isinstance(body, str | bytes | bytearray | memoryview):
        return True
    if start is None:
        return False
    try:
        body.seek(start)  # type: ignore[attr-defined]
    except (AttributeError, OSError, TypeError, ValueError):
        return False
    return True
