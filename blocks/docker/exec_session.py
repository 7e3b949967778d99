"""A command that runs inside a container, with its streams."""

from __future__ import annotations

import socket as sockets
import struct
import time
from collections.abc import Iterator
from typing import Any

from docker.utils.socket import frames_iter

from stampede.blocks.docker.client import Client, daemon_errors

STDOUT, STDERR = 1, 2
_HEADER = struct.Struct(">BxxxL")  # which stream, and how many bytes follow
_ENDED_WITHIN_S = 2.0


class ExecSession:
    """Read its output until it ends, write to its input, then ask for its exit code. Close it when done."""

    def __init__(self, client: Client, exec_id: str, stream: Any, *, tty: bool) -> None:
        self._client, self._id, self._stream, self._tty = client, exec_id, stream, tty
        self._socket: sockets.socket = getattr(stream, "_sock", stream)

    def output(self) -> Iterator[tuple[int, bytes]]:
        """(STDOUT or STDERR, bytes) as they come, until the command ends; with a terminal all is STDOUT."""
        self._socket.settimeout(None)
        with daemon_errors("read the command's output"):
            frames: Iterator[tuple[int, bytes]] = frames_iter(self._stream, self._tty)  # type: ignore[no-untyped-call]
            yield from frames

    def tail(self, size: int, timeout_s: float) -> bytes | None:
        """The last `size` bytes of output once a command without terminal has ended; None if not within `timeout_s`."""
        deadline, kept = time.monotonic() + timeout_s, b""
        with daemon_errors("read the command's output"):
            try:
                while header := self._receive(_HEADER.size, deadline):
                    _, length = _HEADER.unpack(header)
                    kept = (kept + self._receive(length, deadline))[-size:]
            except TimeoutError:
                return None
        return kept

    def _receive(self, length: int, deadline: float) -> bytes:
        """Exactly `length` bytes, or fewer at the end. Raises: TimeoutError."""
        got = b""
        while len(got) < length:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            piece = self._socket.recv(length - len(got))
            if not piece:
                return b""
            got += piece
        return got

    def write(self, piece: bytes) -> None:
        """The command's input gets `piece`."""
        with daemon_errors("write to the command"):
            self._socket.sendall(piece)

    def end_input(self) -> None:
        """The command sees the end of its input."""
        with daemon_errors("end the command's input"):
            self._socket.shutdown(sockets.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal has this size."""
        with daemon_errors("resize the terminal"):
            self._client.api.exec_resize(self._id, height=rows, width=columns)

    def exit_code(self) -> int | None:
        """None while it runs."""
        with daemon_errors("ask how the command ended"):
            code = self._client.api.exec_inspect(self._id)["ExitCode"]
        return None if code is None else int(code)

    def wait_exit_code(self) -> int | None:
        """The exit code after the output has ended: Docker notes it a moment later. None if it still runs then."""
        deadline = time.monotonic() + _ENDED_WITHIN_S
        while (code := self.exit_code()) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return code

    def close(self) -> None:
        """The connection is closed; the command, if it still runs, goes on inside."""
        self._stream._response.close()  # the SDK hangs it there to keep it alive
        self._stream.close()
        self._socket.close()
