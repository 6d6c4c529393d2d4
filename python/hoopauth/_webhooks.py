"""The requests of web frameworks, and verifying without holding up an event loop."""

from __future__ import annotations

from inspect import iscoroutinefunction
from io import BytesIO
from typing import TYPE_CHECKING, Any

from hoopauth._adapter import in_thread, to_the_end
from hoopauth._errors import InvalidArgument, InvalidState, WebhookMalformed

if TYPE_CHECKING:
    from collections.abc import Callable

    from hoopauth._hoopauth import WebhookDelivery, WebhookVerifier

CONSUMED = (
    "the request's body was read or parsed before: verify the webhook first, before anything "
    "touches the form, the stream or the parsed data; answer 429, so that the platform sends it "
    "again"
)
NOT_HANDED_OVER = (
    "the request came without a `Content-Length` (in chunks), and the server handed over no body, "
    "or it was read before: let the server or the proxy before it buffer requests, so that they "
    "have a length, or use a server that sets `wsgi.input_terminated`; answer 429, so that the "
    "platform sends it again"
)


def read(request: Any, most: int) -> tuple[Any, bytes]:
    """Return headers and raw body of a request of Flask (Werkzeug) or Django.

    Of the body, read at most `most` bytes and one more.
    """
    if _is_asgi(request):
        message = (
            "this request's body is read asynchronously: await `verify_request_async(request)`"
        )
        raise InvalidArgument(message)
    get_data = getattr(request, "get_data", None)
    if callable(get_data) and not iscoroutinefunction(get_data):
        _check_length(request, most)
        return request.headers, _complete(request, _werkzeug_body(request, most))
    if hasattr(request, "META"):
        # REST framework wraps Django's.
        inner = getattr(request, "_request", None)
        request = inner if hasattr(inner, "META") else request
        _check_length(request, most)
        return request.META, _complete(request, _django_body(request, most))
    message = (
        f"a `{type(request).__name__}` is not a request of Flask, Django, FastAPI or Starlette: "
        "call `verify` with its headers and its raw body"
    )
    raise InvalidArgument(message)


async def verify(
    verifier: WebhookVerifier,
    request: Any,
    waits: bool,  # noqa: FBT001
    most: int,
) -> WebhookDelivery:
    """Verify a request; a worker thread does the work that may wait."""
    if _is_asgi(request):
        headers, body = request.headers, _complete(request, await _starlette_body(request, most))
    else:
        headers, body = read(request, most)
    if waits:
        delivery: WebhookDelivery = await in_thread(verifier.verify, headers, body)
        return delivery
    return verifier.verify(headers, body)


async def entered(delivery: WebhookDelivery) -> WebhookDelivery:
    """Begin an `async with`."""
    return delivery


async def left(delivery: WebhookDelivery, waits: bool, *raised: Any) -> None:  # noqa: FBT001
    """End an `async with`."""
    if waits:
        await to_the_end(delivery.__exit__, *raised)
    else:
        delivery.__exit__(*raised)


def _is_asgi(request: Any) -> bool:
    return iscoroutinefunction(getattr(type(request), "body", None))


def _werkzeug_body(request: Any, most: int) -> bytes:
    """Call `get_data`, but with a limit: by itself it reads a body without a length to its end."""
    if getattr(request, "_cached_data", None) is None:
        # Kept as `get_data` keeps it: what reads the request later finds it.
        request._cached_data = _bounded(request.stream.read, most)  # noqa: SLF001
    body: bytes = request.get_data(cache=True, as_text=False, parse_form_data=False)
    return body


def _django_body(request: Any, most: int) -> bytes:
    """Return `request.body`, but with a limit: it reads a body without a length to its end."""
    if not hasattr(request, "_body"):
        if getattr(request, "_read_started", False):
            raise InvalidState(CONSUMED)
        request._body = _bounded(request.read, most)  # noqa: SLF001
        request._stream = BytesIO(request._body)  # noqa: SLF001
    body: bytes = request.body
    return body


def _bounded(read_some: Callable[[int], bytes], most: int) -> bytes:
    """Read to the end; refuse a body that is too long to be a webhook."""
    body = bytearray()
    while chunk := read_some(min(most + 1 - len(body), PIECE)):
        body += chunk
        if len(body) > most:
            raise _too_long(most)
    return bytes(body)


async def _starlette_body(request: Any, most: int) -> bytes:
    _check_length(request, most)
    try:
        if not hasattr(request, "_body"):
            # As `body()` does it, but no longer than a webhook may be.
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise _too_long(most)
            request._body = bytes(body)  # noqa: SLF001
        whole: bytes = await request.body()
    except RuntimeError as consumed:
        raise InvalidState(CONSUMED) from consumed
    return whole


def _check_length(request: Any, most: int) -> None:
    """Refuse a body before it is read, if the request tells a length that is too long."""
    length = _length(request)
    if length is not None and length > most:
        raise _too_long(most)


def _length(request: Any) -> int | None:
    """Return the length that the request tells; None if it came in chunks."""
    headers = getattr(request, "headers", None)
    if headers is None or _is_chunked(request):
        return None
    length = headers.get("Content-Length") or ""
    return int(length[:20]) if length.isascii() and length.isdigit() else None


def _is_chunked(request: Any) -> bool:
    return "chunked" in (request.headers.get("Transfer-Encoding") or "").lower()


def _is_signed(request: Any) -> bool:
    return any(request.headers.get(name) for name in SIGNATURES)


def _too_long(most: int) -> WebhookMalformed:
    return WebhookMalformed(
        f"the webhook's body is longer than `max_body` ({most} bytes): answer 400; if you expect "
        "such webhooks, raise `max_body`"
    )


def _complete(request: Any, body: bytes) -> bytes:
    """Refuse an incomplete body: its signature would look forged."""
    length = _length(request)
    # Nobody signs an empty body. Some servers also drop the header that announces the chunks.
    if not body and length is None and (_is_chunked(request) or _is_signed(request)):
        raise InvalidState(NOT_HANDED_OVER)
    if length is not None and len(body) < length:
        raise InvalidState(CONSUMED)
    return body


SIGNATURES = ("X-GHL-Signature", "X-WH-Signature", "X-WL-Signature", "X-Hook-Signature")
PIECE = 65_536
"""How much is read at once."""
