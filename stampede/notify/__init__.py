"""Who is told when something goes wrong: addresses, messages, and the automations that send them. Pure."""

from __future__ import annotations

from stampede.notify.models import Notification, Subject

__all__ = ["Notification", "Subject"]
