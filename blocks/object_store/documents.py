"""Bodies of S3's requests and answers. Source: Amazon S3 API Reference."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from stampede.blocks.object_store.wire import Answer, Body

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def parsed(answer: Answer) -> ElementTree.Element:
    return ElementTree.fromstring(answer.body)  # noqa: S314 - expat limits what entities may expand to


def text(element: ElementTree.Element, name: str) -> str:
    """What the child `name` says, or nothing."""
    return element.findtext(f"{{*}}{name}") or ""


def deletion(objects: Iterable[tuple[str, str]]) -> bytes:
    """Of DeleteObjects: keys, each with a version or with "" for none; only what was refused is answered."""
    named = "".join(
        f"<Object><Key>{escape(key)}</Key>{f'<VersionId>{escape(version)}</VersionId>' if version else ''}</Object>"
        for key, version in objects
    )
    return f'<Delete xmlns="{_NAMESPACE}"><Quiet>true</Quiet>{named}</Delete>'.encode()


def retention(mode: str, end: datetime) -> bytes:
    """Of PutObjectRetention."""
    said = f"<Mode>{mode}</Mode><RetainUntilDate>{end:%Y-%m-%dT%H:%M:%SZ}</RetainUntilDate>"
    return f'<Retention xmlns="{_NAMESPACE}">{said}</Retention>'.encode()


def with_md5(body: Body) -> dict[str, str]:
    """The header by which every server checks what it received."""
    return {"Content-MD5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}
