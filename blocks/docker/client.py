"""The connection to dockerd, and its errors as ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from stampede.containers.traits import Traits
from stampede.errors import DaemonError, DaemonUnavailable, PortTaken, RegistryUnreachable

REQUEST_TIMEOUT_S = 60
_PORT_TAKEN = re.compile(r"port is already allocated|address already in use|failed to bind host port", re.IGNORECASE)
NO_SPACE_SAID = "no space left on device"
NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_LOGIN_REFUSED = re.compile(r"no basic auth credentials|unauthorized|authentication required|denied", re.IGNORECASE)
_REGISTRY_AWAY = re.compile(
    r"dial tcp|no such host|i/o timeout|tls handshake|connection refused|connection reset|server misbehaving"
    r"|request canceled|toomanyrequests|\b50[234] ",
    re.IGNORECASE,
)
_DAEMON_BUSY = re.compile(r"context deadline exceeded|daemon is shutting down|transport is closing", re.IGNORECASE)


class Client:
    """A connection pool that is opened on first use and may be shared by threads."""

    def __init__(self, base_url: str | None = None) -> None:
        self._base_url = base_url
        self._api: Any = None
        self._traits: Traits | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that shall reach the same daemon, without settings of Compose's own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        return inherited | ({"DOCKER_HOST": self._base_url} if self._base_url else {})

    @property
    def api(self) -> Any:
        """The SDK's APIClient, speaking the newest version both sides know. Raises: DaemonUnavailable.

        Untyped: the published stubs lack half of what is called here.
        """
        if self._api is None:
            with daemon_errors("connect to Docker"):
                where = {"base_url": self._base_url} if self._base_url else kwargs_from_env()
                self._api = docker.APIClient(
                    **where, version="auto", timeout=REQUEST_TIMEOUT_S, num_pools=4, max_pool_size=64
                )
        return self._api

    def close(self) -> None:
        """Connections are closed; the next use opens new ones."""
        if self._api is not None:
            self._api.close()
            self._api = None

    @property
    def traits(self) -> Traits:
        """The daemon's API version and default log driver, asked once."""
        if self._traits is None:
            with daemon_errors("ask Docker what it is"):
                major, _, minor = self.api.api_version.partition(".")
                driver = self.api.info().get("LoggingDriver") or "json-file"
                self._traits = Traits(api=(int(major), int(minor)), log_driver=driver)
        return self._traits


def close_stream(stream: Any) -> None:
    """Ends a streamed answer, whoever still reads it. The SDK's own `close` leaves the connection to the collector."""
    stream.close()
    stream._response.close()


@contextmanager
def daemon_errors(doing: str) -> Iterator[None]:
    """Let what the SDK raises leave as one of our errors; `doing` completes "Docker could not …"."""
    try:
        yield
    except APIError as error:
        raise translated(doing, str(error.explanation or error)) from error
    except (requests.exceptions.RequestException, OSError) as error:
        raise unavailable(doing, error) from error
    except DockerException as error:
        raise unavailable(doing, error) from error


def unavailable(doing: str, error: Exception) -> DaemonUnavailable:
    """The daemon gave no answer."""
    return DaemonUnavailable(f"Docker did not answer, so could not {doing}: {error}", "is dockerd running?")


def translated(doing: str, said: str) -> DaemonError:
    """What the daemon said, as one of our errors."""
    message = f"Docker could not {doing}: {said.strip()}"
    if NO_SPACE.search(said):
        return DaemonError(message, "the disk is full: make room, then run it again")
    if _PORT_TAKEN.search(said):
        return PortTaken(message, "another program uses this port: stop it or publish another one")
    if _DAEMON_BUSY.search(said):
        return DaemonUnavailable(message, "is dockerd being restarted?")
    return DaemonError(message)


def registry_error(reference: str, said: str) -> DaemonError:
    """What a registry said about an image that was to be pulled, as one of our errors."""
    message = f"{reference} could not be pulled: {said.strip()}"
    if NO_SPACE.search(said):
        return DaemonError(message, "the disk is full: make room, then run it again")
    if _REGISTRY_AWAY.search(said):
        return RegistryUnreachable(message, "is the registry reachable from this host?")
    if _LOGIN_REFUSED.search(said):
        return DaemonError(message, "its registry wants a login: store the right one as a Stampede registry login")
    return DaemonError(message, "check the reference")
