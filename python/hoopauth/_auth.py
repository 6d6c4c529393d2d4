"""The adapters of HTTP libraries, each imported when it is asked for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hoopauth._hoopauth import Client


def auth(library: str, client: Client, account: str | None) -> object:
    """Make the adapter of a library; the error says how to install a missing library."""
    from importlib import import_module  # noqa: PLC0415

    try:
        return import_module(f"hoopauth._{library}").Auth(client, account)
    except ModuleNotFoundError as missing:
        message = f"this adapter needs {library}: pip install hoopauth[{library}]"
        raise ModuleNotFoundError(message, name=missing.name) from missing
