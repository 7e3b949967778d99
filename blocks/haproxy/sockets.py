"""HAProxy's two sockets: the admin socket of the running worker, and the one of the master process."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from stampede.errors import BadInput, DaemonError, DaemonUnavailable

_LONGEST_PATH = 100  # sockaddr_un holds 108 bytes, and HAProxy appends a suffix while it binds
_ANSWER_WITHIN_S = 10.0
_RECONNECT_FOR_S = 2.0  # right after a reload the sockets refuse for a moment


class Socket:
    """Sends one command at a time and returns what HAProxy answers."""

    def __init__(self, path: Path) -> None:
        if len(str(path)) > _LONGEST_PATH:
            raise BadInput(f"{path} is too long for the path of a socket", "set STAMPEDE_RUN_DIR to a shorter one")
        self.path = path

    def ask(self, command: str, *, patience_s: float = _RECONNECT_FOR_S) -> str:
        """The answer, without blank lines around it. Raises: DaemonUnavailable when nothing answers in time."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return self._ask_once(command)
            except (FileNotFoundError, ConnectionError) as error:
                if time.monotonic() > deadline:
                    raise DaemonUnavailable(
                        f"haproxy does not answer at {self.path}: {error.strerror or error}",
                        "stampede server status shows its process",
                    ) from error
                time.sleep(0.05)
            except OSError as error:
                raise DaemonUnavailable(f"haproxy at {self.path}: {error}") from error

    def order(self, command: str) -> None:
        """Sends a command that ends the connection, once, whatever becomes of the answer. Raises: DaemonUnavailable."""
        self.ask("help")  # waits until it answers
        try:
            self._ask_once(command)
        except ConnectionError:
            return
        except OSError as error:
            raise DaemonUnavailable(f"haproxy at {self.path}: {error}") from error

    def tell(self, command: str, *, unless: str = "") -> bool:
        """Carries out a command that is silent when it succeeds; False where the answer contains `unless`.

        Raises: DaemonError with HAProxy's words for any other answer, DaemonUnavailable.
        """
        answer = self.ask(command)
        if unless and unless in answer:
            return False
        if answer and not answer.endswith(("registered.", "deleted.")):
            raise DaemonError(f"haproxy refused `{command}`: {answer}")
        return True

    def _ask_once(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_WITHIN_S)
            connection.connect(str(self.path))
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)  # the master closes only then
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer.decode(errors="replace").strip()


def wait_until(true: Callable[[], bool], limit_s: float, *, every_s: float = 0.05) -> bool:
    """Asks until `true` says so; False when `limit_s` has passed."""
    deadline = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
