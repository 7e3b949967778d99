"""Addresses that messages can go to, what may be shown of them, and what a webhook is sent.

http(s)://…  a webhook: Slack, Discord, Mattermost, Teams, or a program of your own, which gets JSON
mailto://…   e-mail by SMTP, mailtos:// with TLS; and every other URL of Apprise (ntfy://, pagerduty://, tgram://, …),
             which Prefect brings along
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, quote, urlencode, urlsplit

from stampede.errors import BadInput

LONGEST_ON_DISCORD = 1900
_EXAMPLES = "such as https://hooks.slack.com/services/…, mailtos://user:password@smtp.example.com/?to=ops@example.com"


def described(address: str) -> str:
    """What may be shown of an address, which is a secret. Raises: BadInput for what is none."""
    parts = _split(address)
    if is_webhook(address):
        return f"webhook at {parts.hostname}"
    to = ", ".join(parse_qs(parts.query).get("to", []))
    if parts.scheme in ("mailto", "mailtos"):
        return f"mail to {to or 'the account'}"
    return f"{parts.scheme} (Apprise)"


def is_webhook(address: str) -> bool:
    """Whether it is asked with a plain POST."""
    return address.startswith(("http://", "https://"))


def mail_address(to: str, smtp: str, sender: str) -> str:
    """The address of a mailbox that a mail server takes mail for without a login. Raises: BadInput."""
    server = urlsplit(f"//{smtp}")
    try:
        host, port = server.hostname, server.port or 25
    except ValueError as error:
        raise BadInput(f"{smtp} is no mail server", "such as smtp.example.com:25") from error
    if not host or "@" in smtp:
        raise BadInput(f"{smtp} is no mail server", "such as smtp.example.com:25; one with a login goes in --url-file")
    for mailbox in (*to.split(","), sender):
        name, _, domain = mailbox.strip().partition("@")
        if not name or "." not in domain:
            raise BadInput(f"{mailbox!r} is no mail address", "such as ops@example.com; --from says whom it is from")
    words = {"from": sender, "to": to, "name": "Stampede", "mode": "insecure", "format": "text"}
    return f"mailto://{host}:{port}/?{urlencode(words, quote_via=quote)}"


def webhook_body(address: str, subject: str, body: str) -> dict[str, str]:
    """The JSON that a webhook is sent: what its service takes, and for all others `subject`, `body` and `text`."""
    host = urlsplit(address).hostname or ""
    text = f"{subject}\n{body}"
    if host in ("discord.com", "discordapp.com") or host.endswith(".discord.com"):
        return {"content": text[:LONGEST_ON_DISCORD]}
    if host.startswith("hooks.slack"):
        return {"text": text}
    return {"text": text, "subject": subject, "body": body}


def without(address: str, said: str) -> str:
    """What somebody said, without the address and the parts of it that let others send, too."""
    parts = urlsplit(address)
    secrets = (address, parts.query, parts.path, parts.password, parts.username)
    for secret in secrets:
        if secret and len(secret) > 1:
            said = said.replace(secret, "…")
    return said


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port  # which are looked at only when they are asked for
    except ValueError as error:
        raise BadInput("this is no address of a webhook or mailbox", _EXAMPLES) from error
    if not parts.scheme or not host or any(letter.isspace() for letter in address):
        raise BadInput("this is no address of a webhook or mailbox", _EXAMPLES)
    return parts
