"""The scopes that most programs need, as constants.

An example: `hoopauth.Client(scopes=[scopes.CONTACTS_READONLY], ...)`.
"""

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
"""Reads contacts, with their notes, tasks and appointments."""
CONTACTS_WRITE: Final = "contacts.write"
"""Creates, changes and deletes contacts, with their notes, tasks, tags, followers, campaigns and
workflows.
"""
CONVERSATIONS_READONLY: Final = "conversations.readonly"
"""Reads and searches conversations; their messages need `conversations/message.readonly`."""
CONVERSATIONS_WRITE: Final = "conversations.write"
"""Creates, changes and deletes conversations; sending messages needs `conversations/message.write`.
"""
CALENDARS_READONLY: Final = "calendars.readonly"
"""Reads calendars, their schedules and free slots; events and appointments need
`calendars/events.readonly`.
"""
CALENDARS_WRITE: Final = "calendars.write"
"""Creates, changes and deletes calendars and their schedules; events and appointments need
`calendars/events.write`.
"""
OPPORTUNITIES_READONLY: Final = "opportunities.readonly"
"""Reads and searches opportunities, with their pipelines and lost reasons."""
OPPORTUNITIES_WRITE: Final = "opportunities.write"
"""Creates, changes and deletes opportunities, with their followers and status."""
