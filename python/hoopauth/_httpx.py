"""The adapter for httpx, sync and async, under asyncio and trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from hoopauth._adapter import (
    AUTHENTICATION,
    NAMES,
    UNAUTHORIZED,
    in_thread,
    not_repeated,
    put,
    refused_again,
)
from hoopauth._errors import Error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from hoopauth._hoopauth import Client, Context


class Auth(httpx.Auth):
    """Authenticates requests to HoopAI: `httpx.Client(auth=client.httpx_auth())`, `httpx.AsyncClient(...)` alike.

    A 401 that a refresh can cure is cured once and the request repeated, if its body can be sent again: bytes, text,
    JSON, forms and seekable files can, a generator can't. Every answer carries `hoopauth_error`: None, or the exception
    that says what a refused one means (`hoopauth.InsufficientScope`, `hoopauth.WrongAccount`, ...) or, a
    `hoopauth.HttpStatus`, why it was not repeated; it is not raised.

    Raises, before anything is sent, what `Client.headers` raises, and `hoopauth.InvalidArgument` for a URL that is not
    the API's: the token goes nowhere else, and follows no redirect to another origin.

    The event loop never waits: cached headers are taken inline, all else is done on a worker thread. Cancelling a task
    ends its wait; the refresh is finished and saved.
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
        response = yield request
        if not self._concerns(response):
            return
        response.read()
        headers = self._told(response, self._report(response))
        if headers is not None and self._repeatable(response, body):
            repeated = yield self._again(response, headers)
            if self._refused(repeated):
                repeated.read()
                self._told(repeated, self._report(repeated))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Serve `httpx.AsyncClient`."""
        self._check(request.url)
        headers = self._client.fresh_headers(request.method, self._account)
        if headers is None:
            headers = await in_thread(self._client.headers, request.method, self._account)
        body = self._prepare(request, headers)
        response = yield request
        if not self._concerns(response):
            return
        await response.aread()
        again = self._told(response, await in_thread(self._report, response))
        if again is not None and self._repeatable(response, body):
            repeated = yield self._again(response, again)
            if self._refused(repeated):
                await repeated.aread()
                self._told(repeated, await in_thread(self._report, repeated))

    def _check(self, url: httpx.URL) -> None:
        """Refuse a URL that is not the API's; most are of the origin that the last one had, and plain behind it."""
        origin, path = (url.scheme, url.netloc, url.userinfo), url.raw_path
        if origin != self._checked or b"\\" in path or b":///" in path:
            self._client.check_url(str(url))
            self._checked = origin

    def _prepare(self, request: httpx.Request, headers: dict[str, str]) -> _Body | None:
        there = {name.lower(): value for name, value in request.headers.raw}
        put(headers, request.headers, there, _NAMES)
        return None if isinstance(request.stream, httpx.ByteStream) else _Body(request.stream)

    def _concerns(self, response: httpx.Response) -> bool:
        """Whether the answer is about the token; after a redirect it may be another's, about another's token."""
        response.hoopauth_error = None  # type: ignore[attr-defined]
        sent, status = response.request.headers, response.status_code
        if status not in AUTHENTICATION:
            self._client._note_limits(sent, status, response.headers.raw, self._account)  # noqa: SLF001
            return False
        if "Authorization" not in sent:
            return False
        try:
            self._check(response.request.url)
        except Error:
            return False
        return True

    def _report(
        self, response: httpx.Response, context: Context | None = None
    ) -> dict[str, str] | Error | None:
        try:
            return self._client.report(
                response.request.headers,
                response.status_code,
                response.headers,
                response.content,
                response.request.method,
                str(response.request.url),
                account=self._account,
                context=context,
            )
        except Error as error:
            return error

    def _told(
        self, response: httpx.Response, report: dict[str, str] | Error | None
    ) -> dict[str, str] | None:
        if isinstance(report, Error):
            response.hoopauth_error = report  # type: ignore[attr-defined]
            return None
        return report

    def _repeatable(self, response: httpx.Response, body: _Body | None) -> bool:
        if body is None or body.rewind():
            return True
        response.hoopauth_error = not_repeated(self._account)  # type: ignore[attr-defined]
        return False

    def _again(self, response: httpx.Response, headers: dict[str, str]) -> httpx.Request:
        """Repeat what was refused: after redirects that is the last request, not the first, which was carried out."""
        request = response.request
        request.headers["Authorization"] = headers["Authorization"]
        return request

    def _refused(self, repeated: httpx.Response) -> bool:
        """Whether the repeat's answer, too, is about the token and not yet told."""
        if not self._concerns(repeated):
            return False
        if repeated.status_code != UNAUTHORIZED:
            return True
        repeated.hoopauth_error = refused_again(self._account)  # type: ignore[attr-defined]
        return False

    def __repr__(self) -> str:
        """Show the account."""
        return f"<hoopauth httpx auth of {self._account or 'the default account'}>"


_NAMES = {name: lower.encode() for name, lower in NAMES.items()}


class _Body:
    """The body of a request that is not plain bytes, and whether it can be sent again."""

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
