"""The requests of web frameworks, and verifying without holding up an event loop."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from hoopauth._adapter import in_thread, to_the_end
from hoopauth._errors import InvalidArgument, InvalidState, WebhookMalformed

if TYPE_CHECKING:
    from hoopauth._hoopauth import WebhookDelivery, WebhookVerifier

CONSUMED = (
    "the request's body was read or parsed before: verify the webhook first, before anything touches the form, the "
    "stream or the parsed data"
)


def read(request: Any, most: int) -> tuple[Any, bytes]:
    """Give headers and raw body of a request of Flask or Django."""
    if _is_asgi(request):
        message = "this request's body is read asynchronously: await `verify_request_async(request)`"
        raise InvalidArgument(message)
    _check_length(request, most)
    get_data = getattr(request, "get_data", None)
    if callable(get_data) and not iscoroutinefunction(get_data):
        return request.headers, _complete(request, get_data(cache=True, as_text=False, parse_form_data=False))
    if hasattr(request, "META"):
        return request.META, _complete(request, _django_body(request))
    message = f"a `{type(request).__name__}` is no request of Flask, Django, FastAPI or Starlette: call `verify` with "
    message += "its headers and its raw body"
    raise InvalidArgument(message)


async def verify(verifier: WebhookVerifier, request: Any, waits: bool, most: int) -> WebhookDelivery:  # noqa: FBT001
    """Verify a request; what waits is done on a worker thread."""
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


def _django_body(request: Any) -> bytes:
    try:
        body: bytes = request.body
    except Exception as raised:
        # By its name: Django is not imported here.
        if type(raised).__name__ == "RawPostDataException":
            raise InvalidState(CONSUMED) from raised
        raise
    return body


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
    """Refuse a body before it is read, where its length is told."""
    headers = getattr(request, "headers", None)
    length = headers.get("Content-Length") if headers is not None else None
    if length and length.isascii() and length.isdigit() and int(length[:20]) > most:
        raise _too_long(most)


def _too_long(most: int) -> WebhookMalformed:
    return WebhookMalformed(f"the webhook's body is longer than `max_body`, {most} bytes: refuse it")


def _complete(request: Any, body: bytes) -> bytes:
    """Refuse what is left of a body that was read before: it would look like a forged one."""
    length = request.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and len(body) < int(length):
        raise InvalidState(CONSUMED)
    return body
