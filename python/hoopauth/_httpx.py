"""The adapter for httpx, sync and async, under asyncio and trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from hoopauth._adapter import NAMES, in_thread, put
from hoopauth._hoopauth import ForeignRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from hoopauth._hoopauth import Client, Context


class Auth(httpx.Auth):
    """Authenticates requests to HoopAI, for `httpx.Client` and `httpx.AsyncClient`.

    Pass it as `auth=client.httpx_auth()`. A 401 that a refresh can cure is cured once, and the
    request is repeated if its body can be sent again: bytes, text, JSON, forms and seekable files
    can, a generator can't. Each answer has an attribute `hoopauth_error`: None, or an exception
    that is not raised. The exception explains a refusal (`hoopauth.InsufficientScope`,
    `hoopauth.WrongAccount`, ...), or, as a `hoopauth.HttpStatus`, why the request was not repeated.

    Before anything is sent, this raises the errors of `Client.headers`, and
    `hoopauth.InvalidArgument` for a URL that is not the API's. The token goes nowhere else, and
    follows no redirect to another origin.

    The event loop never waits: cached headers are taken at once, and a worker thread does the rest.
    If a task is cancelled, its wait ends; the refresh is finished and saved.
    """

    def __init__(self, client: Client, account: str | None = None) -> None:
        """Serve one account; None is the client's `default_account`."""
        self._client = client
        self._account = account
        self._checked: tuple[str, bytes, bytes] | None = None

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Serve `httpx.Client`."""
        self._check(request.url)
        body = self._prepare(request, self._client.headers(request.method, self._account))
        course = ForeignRequest(self._client, self._account)
        response = yield request
        if not _looked(course, response):
            return
        response.read()
        headers = _reported(course, response)
        if headers is not None and _repeatable(course, response, body):
            repeated = yield _again(response, headers)
            if _looked(course, repeated):
                repeated.read()
                _reported(course, repeated)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Serve `httpx.AsyncClient`."""
        self._check(request.url)
        headers = self._client.fresh_headers(request.method, self._account)
        if headers is None:
            headers = await in_thread(self._client.headers, request.method, self._account)
        body = self._prepare(request, headers)
        course = ForeignRequest(self._client, self._account)
        response = yield request
        if not _looked(course, response):
            return
        await response.aread()
        again = await in_thread(_reported, course, response)
        if again is not None and _repeatable(course, response, body):
            repeated = yield _again(response, again)
            if _looked(course, repeated):
                await repeated.aread()
                await in_thread(_reported, course, repeated)

    def _check(self, url: httpx.URL) -> None:
        """Refuse a URL that is not the API's.

        Most requests have the origin of the last one and a plain path: those pass at once.
        """
        origin, path = (url.scheme, url.netloc, url.userinfo), url.raw_path
        if origin != self._checked or b"\\" in path or b":///" in path:
            self._client.check_url(str(url))
            self._checked = origin

    def _prepare(self, request: httpx.Request, headers: dict[str, str]) -> _Body | None:
        there = {name.lower(): value for name, value in request.headers.raw}
        put(headers, request.headers, there, _NAMES)
        return None if isinstance(request.stream, httpx.ByteStream) else _Body(request.stream)

    def __repr__(self) -> str:
        """Show the account."""
        return f"<hoopauth httpx auth of {self._account or 'the default account'}>"


def _looked(course: ForeignRequest, response: httpx.Response) -> bool:
    """Let the core look at an answer; tell whether it needs the body."""
    sent, answer = response.request, response.headers.raw
    needs_body = course.look(sent.headers, response.status_code, answer, sent.url)
    response.hoopauth_error = course.error  # type: ignore[attr-defined]
    return needs_body


def _reported(
    course: ForeignRequest, response: httpx.Response, context: Context | None = None
) -> dict[str, str] | None:
    """Tell the core about an answer; return the headers for a repeat."""
    sent, status, answer = response.request, response.status_code, response.headers
    headers = course.report(
        sent.headers, status, answer, response.content, sent.method, str(sent.url), context=context
    )
    response.hoopauth_error = course.error  # type: ignore[attr-defined]
    return headers


def _repeatable(course: ForeignRequest, response: httpx.Response, body: _Body | None) -> bool:
    if body is None or body.rewind():
        return True
    response.hoopauth_error = course.not_repeated()  # type: ignore[attr-defined]
    return False


def _again(response: httpx.Response, headers: dict[str, str]) -> httpx.Request:
    """Return the refused request with new headers.

    After redirects, that is the last request: HoopAI carried out the first one.
    """
    request = response.request
    request.headers["Authorization"] = headers["Authorization"]
    return request


_NAMES = {name: lower.encode() for name, lower in NAMES.items()}


class _Body:
    """The body of a request that is not plain bytes; it knows if it can be sent again."""

    def __init__(self, stream: object) -> None:
        self._again = False
        self._files: list[tuple[Any, int]] = []
        # A file that is sent as it is, or those of a form. What is not known here is not sent
        # again.
        fields: Any = getattr(stream, "fields", None)
        whole: Any = getattr(stream, "_stream", None)
        parts: list[Any] = (
            [whole] if fields is None else [getattr(field, "file", b"") for field in fields]
        )
        files = [part for part in parts if not isinstance(part, str | bytes)]
        try:
            self._files = [(file, file.tell()) for file in files]
            self._again = True
        except (AttributeError, OSError, TypeError, ValueError):
            pass

    def rewind(self) -> bool:
        """Make it ready to be sent again; whether it is."""
        try:
            for file, start in self._files:
                file.seek(start)
        except (AttributeError, OSError, TypeError, ValueError):
            return False
        return self._again
