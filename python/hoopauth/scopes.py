"""The scopes that most programs need, as constants: `hoopauth.Client(scopes=[scopes.CONTACTS_READONLY], ...)`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = [
    "CALENDARS_READONLY",
    "CALENDARS_WRITE",
    "CONTACTS_READONLY",
    "CONTACTS_WRITE",
    "CONVERSATIONS_READONLY",
    "CONVERSATIONS_WRITE",
    "OPPORTUNITIES_READONLY",
    "OPPORTUNITIES_WRITE",
]

CONTACTS_READONLY: Final = "contacts.readonly"
"""Reads contacts."""
CONTACTS_WRITE: Final = "contacts.write"
"""Creates, changes and deletes contacts."""
CONVERSATIONS_READONLY: Final = "conversations.readonly"
"""Reads conversations."""
CONVERSATIONS_WRITE: Final = "conversations.write"
"""Creates, changes and deletes conversations."""
CALENDARS_READONLY: Final = "calendars.readonly"
"""Reads calendars."""
CALENDARS_WRITE: Final = "calendars.write"
"""Creates, changes and deletes calendars."""
OPPORTUNITIES_READONLY: Final = "opportunities.readonly"
"""Reads opportunities."""
OPPORTUNITIES_WRITE: Final = "opportunities.write"
"""Creates, changes and deletes opportunities."""
