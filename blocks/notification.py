"""Where messages go when something goes wrong. Automations of the server load and use it: `send-notification`."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

import httpx
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.logging import LogEavesdropper
from pydantic import Field, SecretStr

from stampede.notify.addresses import is_webhook, webhook_body, without
from stampede.notify.models import NOTIFICATION_TYPE

TIMEOUT_S = 10.0
PAUSES_S = (1.0, 4.0)  # between attempts: Prefect itself tries once, and a receiver that restarts would miss it
MOST_OF_AN_ANSWER = 300


class StampedeNotification(NotificationBlock):
    """Where `stampede notify` sends messages. Receivers on private addresses are as good as others."""

    _block_type_name: ClassVar[str] = "Stampede notification"
    _block_type_slug: ClassVar[str] = NOTIFICATION_TYPE
    address: SecretStr = Field(description="URL of a webhook, or any address that Apprise takes, such as mailto://…")
    content: str = Field(description="What it is told about, as JSON; `stampede notify ls` shows it.")

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Afterwards the receiver took it. Raises: NotificationError, which never holds the address."""
        address = self.address.get_secret_value()
        for pause_s in (*PAUSES_S, None):
            trouble, again = await _send(address, subject or "Stampede", body)
            if not trouble:
                return
            if pause_s is None or not again:
                raise NotificationError(without(address, trouble))
            await asyncio.sleep(pause_s)


async def _send(address: str, subject: str, body: str) -> tuple[str, bool]:
    """What went wrong, empty if nothing did; and whether it may go well another time."""
    return await (_post if is_webhook(address) else _apprise)(address, subject, body)


async def _post(address: str, subject: str, body: str) -> tuple[str, bool]:
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.post(address, json=webhook_body(address, subject, body))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{httpx.URL(address).host} did not take it: {error or type(error).__name__}", True
    if answer.is_success:
        return "", False
    trouble = f"{answer.url.host} answered {answer.status_code}: {answer.text[:MOST_OF_AN_ANSWER]}"
    return trouble, answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS


async def _apprise(address: str, subject: str, body: str) -> tuple[str, bool]:
    from apprise import Apprise

    with LogEavesdropper("apprise", level=logging.WARNING) as said:
        logging.getLogger("apprise").propagate = False  # it may quote an address that it cannot read
        receiver = Apprise()
        if not receiver.add(address):
            return f"this address means nothing to Apprise: {said.text()}", False
        if await receiver.async_notify(body=body, title=subject):
            return "", False
    return f"it was not delivered: {said.text()}", True
