"""Parts that the adapters of HTTP libraries share."""

from __future__ import annotations

from hoopauth._hoopauth import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import Any, AnyStr


def put(
    headers: Mapping[str, str],
    request: MutableMapping[str, str],
    there: Mapping[AnyStr, AnyStr],
    names: Mapping[str, AnyStr],
) -> None:
    """Put hoopauth's headers on a request. Keep the program's own, except `Authorization`.

    `there` holds the request's headers, with names in lower case, as `names` writes them: to ask
    the libraries for one header after the other takes longer. The default `User-Agent` of the
    libraries is replaced, because HoopAI's edge refuses it.
    """
    for name, value in headers.items():
        own = there.get(names[name])
        if own is None or name == "Authorization" or (name == "User-Agent" and is_default(own)):
            request[name] = value


NAMES = {name: name.lower() for name in ("Authorization", "Version", "User-Agent", "Content-Type")}
"""Names of hoopauth's headers, in lower case."""


def is_default(user_agent: str | bytes) -> bool:
    """Tell whether a `User-Agent` is one of Python's own."""
    text = user_agent.decode("latin-1") if isinstance(user_agent, bytes) else user_agent
    return text.lower().startswith("python")


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do `work` on a worker thread; a task that is cancelled does not wait for it."""
    from functools import partial  # noqa: PLC0415

    context = Context()
    work = partial(work, *arguments, context=context)
    try:
        anyio = _anyio()
        if anyio is not None:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        from asyncio import to_thread  # noqa: PLC0415

        return await to_thread(work)
    finally:
        context.cancel()


async def to_the_end(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do `work` on a worker thread and wait for it, even in a task that is cancelled."""
    anyio = _anyio()
    if anyio is not None:
        with anyio.CancelScope(shield=True):
            return await anyio.to_thread.run_sync(work, *arguments)
    from asyncio import shield, to_thread  # noqa: PLC0415

    return await shield(to_thread(work, *arguments))


def _anyio() -> Any:
    """Give anyio: httpx and Starlette have it; a program on Django and asyncio alone need not."""
    try:
        import anyio.to_thread  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    return anyio
