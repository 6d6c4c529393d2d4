"""The headers of an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["ResponseHeaders"]


class ResponseHeaders(Mapping[str, str]):
    """The headers of an answer: a mapping whose names count in any case, in the order they came."""

    __slots__ = ("_values",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """Take the headers, one pair for each line."""
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str, /) -> str:
        """Give the value of a header; several are joined by `, `."""
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        """Give the names, in lower case, each once."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._values)

    def get_list(self, name: str, /) -> list[str]:
        """Give all values of a header, one by one; an empty list for none."""
        return list(self._values.get(name.lower(), ()))

    def __repr__(self) -> str:
        """Show the names; values may be secret."""
        return f"<hoopauth.ResponseHeaders {', '.join(self._values)}>"
