"""A command that runs inside a container, with its output."""

from __future__ import annotations

import socket as sockets
import struct
import time
from typing import Any

from stampede.blocks.docker.client import Client, daemon_errors

_HEADER = struct.Struct(">BxxxL")  # which stream, and how many bytes follow
_ENDED_WITHIN_S = 2.0


class ExecSession:
    """Read its output until it ends, then ask for its exit code. Close it when done."""

    def __init__(self, client: Client, exec_id: str, stream: Any) -> None:
        self._client, self._id, self._stream = client, exec_id, stream
        self._socket: sockets.socket = getattr(stream, "_sock", stream)

    def tail(self, size: int, timeout_s: float) -> bytes | None:
        """The last `size` bytes of output once the command has ended; None if not within `timeout_s`."""
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
