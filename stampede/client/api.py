"""The Prefect API over HTTP: JSON in and out, and an error that says what to do when it does not answer.

Routes and bodies are those of Prefect 3.8's REST API: https://docs.prefect.io/v3/api-ref/rest-api
"""

from __future__ import annotations

import base64
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import httpx

from stampede.errors import BadInput, ServerUnreachable, StampedeError

BUSY = 503
BUSY_ATTEMPTS = 6
LONGEST_PAUSE_S = 2.0
PAGE = 200


class NameTaken(StampedeError):
    """A document of this name exists already: creating it again is refused, whoever made it."""


class PrefectApi:
    """A connection to one server. Methods raise ServerUnreachable, BadInput for a wrong password, or StampedeError.

    Raises: BadInput for an address that is none.
    """

    def __init__(self, url: str, auth: str = "", *, timeout_s: float = 15.0) -> None:
        """`url` is the API's, with or without `/api`; `auth` is `user:password`, which may also stand in the url."""
        self.url, written_auth = split_auth(url)
        try:
            self.http = httpx.Client(
                base_url=self.url,
                headers=_basic(auth or written_auth),
                timeout=httpx.Timeout(timeout_s, connect=5.0),
                # Reading the bundle of certificates takes 15 ms, which a plain connection never needs.
                verify=self.url.startswith("https"),
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise _no_address(url) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    @property
    def ui(self) -> str:
        """Where the same server shows its pages to people."""
        return self.url.removesuffix("/api")

    def get(self, path: str, **query: str | int | bool) -> Any:
        """The JSON at `path`, or None when there is nothing."""
        answer = self._send("GET", path, params=query)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _json(answer)

    def post(self, path: str, body: dict[str, Any] | list[dict[str, Any]]) -> Any:
        """What the server answers to `body`. Raises: NameTaken (409), BadInput (what the server cannot accept)."""
        return _json(self._send("POST", path, json=body))

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Afterwards what is at `path` has these values. Raises: BadInput, StampedeError when nothing is there."""
        _json(self._send("PATCH", path, json=body))

    def delete(self, path: str) -> bool:
        """Afterwards nothing is at `path`; whether there was something."""
        answer = self._send("DELETE", path)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        _json(answer)
        return True

    def pages(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Everything that a `/filter` route finds, page after page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.post(path, {**body, "limit": PAGE, "offset": len(found)})
            found += page
            if len(page) < PAGE:
                return found

    def _send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        # A busy SQLite answers 503; nothing was done then, so asking again is safe for every method.
        answer = self._ask(method, path, **rest)
        for attempt in range(BUSY_ATTEMPTS - 1):
            if answer.status_code != BUSY:
                break
            time.sleep(min(LONGEST_PAUSE_S, 0.1 * 2**attempt))
            answer = self._ask(method, path, **rest)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise BadInput(
                f"the server at {self.url} does not accept this password",
                "STAMPEDE_AUTH=user:password gives one; the server keeps its own under server/ in its state directory",
            )
        return answer

    def _ask(self, method: str, path: str, **rest: Any) -> httpx.Response:
        try:
            return self.http.request(method, path, **rest)
        except httpx.InvalidURL as error:
            raise BadInput(
                f"{path!r} cannot be asked for: {error}", "a name or an id has characters that none has"
            ) from error
        except (httpx.RequestError, UnicodeError) as error:  # UnicodeError: a host's name that cannot be one
            raise ServerUnreachable(
                f"the server at {self.url} did not answer: {error or type(error).__name__}",
                "stampede server status shows whether it runs here; --server names another",
            ) from error


def split_auth(url: str) -> tuple[str, str]:
    """The API's url with `/api` and without user and password, and `user:password` (or ""). Raises: BadInput."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # which are looked at only when they are asked for
    except ValueError as error:
        raise _no_address(url) from error
    if parts.scheme not in ("http", "https") or not host:
        raise _no_address(url)
    path = parts.path.rstrip("/")
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, place, path if path.endswith("/api") else f"{path}/api", "", "")), user


def _no_address(url: str) -> BadInput:
    """Without what stands before the @: it may be a password."""
    _, at, place = url.rpartition("@")
    shown = f"…@{place}" if at else url
    return BadInput(f"{shown!r} is no address of a server", "such as https://stampede.example or ssh://root@h1")


def _basic(auth: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(auth.encode()).decode()} if auth else {}


def _json(answer: httpx.Response) -> Any:
    if answer.is_success:
        return _decoded(answer) if answer.content else None
    said = _detail(answer)
    if answer.status_code == httpx.codes.CONFLICT:
        raise NameTaken(said)
    if answer.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
        raise BadInput(f"the server does not accept this: {said}")
    raise StampedeError(f"the server answered {answer.status_code} to {answer.request.url.path}: {said}")


def _decoded(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise BadInput(
            f"{answer.request.url} does not answer like a Prefect API", "--server is the address of a Stampede server"
        ) from error


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:500]
    said = body.get("detail") or body.get("exception_detail") or body.get("exception_message") or body
    return str(said)[:2000]
