"""One file whose content is made as it is read: the kernel's side of FUSE, without libfuse, which we would use 1 % of.

The root of the file system is the file itself, mounted over a file. Source: linux/fuse.h, protocol 7.31; fuse(4).
When this process dies, however it dies, the kernel answers everything below with an error, and it can be unmounted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from stampede.blocks.detaching import detach
from stampede.errors import DaemonError, StampedeError

_LIBC = ctypes.CDLL(None, use_errno=True)
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_SET_IO_FLUSHER = 57  # prctl(2)
_THREADS = 8
_MAX_PAGES = 256
_MAX_WRITE = _MAX_PAGES * 4096
_FOREVER_S = 1 << 31

_IN = struct.Struct("=IIQQIIII")  # length, opcode, unique, node, uid, gid, pid, padding
_OUT = struct.Struct("=IiQ")  # length, -errno, unique
_INIT_IN = struct.Struct("=IIII")  # major, minor, readahead, flags
_INIT_OUT = struct.Struct("=IIIIHHIIHHII24x")  # the same, background, congested, max write, granularity, max pages, …
_ATTRIBUTES = struct.Struct("=QIIQQQQQQIIIIIIIIII")
_OPENED = struct.Struct("=QII")
_TRANSFER = struct.Struct("=QQIIQII")  # handle, offset, size, flags, owner, flags, padding
_WRITTEN = struct.Struct("=II")

_ASYNC_READ, _BIG_WRITES, _ASYNC_DIO, _HAS_MAX_PAGES = 1, 1 << 5, 1 << 15, 1 << 22
_WANTED = _ASYNC_READ | _BIG_WRITES | _ASYNC_DIO | _HAS_MAX_PAGES
_DIRECT_IO = 1  # the kernel keeps no copy: who mounts what is in the file has one already


class _Opcode(IntEnum):
    FORGET, GETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT = 2, 3, 14, 15, 16, 18, 20, 25, 26
    INTERRUPT, BATCH_FORGET = 36, 42


_UNANSWERED = (_Opcode.FORGET, _Opcode.INTERRUPT, _Opcode.BATCH_FORGET)


class Content(Protocol):
    """What the file has. May be called from several threads; an OSError or one of ours is an error of the reader."""

    size: int

    def read(self, start: int, length: int) -> bytes: ...

    def write(self, start: int, content: memoryview) -> None: ...

    def sync(self) -> None: ...


@contextmanager
def mounted_file(path: Path, content: Content, trouble: Callable[[Exception], None]) -> Iterator[Callable[[], None]]:
    """Until the context ends, `path`, a file of ours, has this content. `trouble` hears of what is answered with EIO.

    What it gives can be called to wait until somebody has unmounted it, and nobody uses it any more.

    Raises: DaemonError if it cannot be mounted.
    """
    # What we write while memory is short must not wait for memory that only we can free; not everybody may ask for it.
    _LIBC.prctl(_SET_IO_FLUSHER, 1, 0, 0, 0)
    device = _mounted(path)
    server = _Server(device, content, trouble)
    threads = [threading.Thread(target=server.serve, name=f"fuse-{number}") for number in range(_THREADS)]
    for thread in threads:
        thread.start()

    def wait() -> None:
        for thread in threads:
            thread.join()

    try:
        path.stat()  # the kernel asks for the size now, not when somebody opens it who relies on it
        yield wait
    finally:
        detach(path)
        wait()
        os.close(device)


def _mounted(path: Path) -> int:
    """/dev/fuse, as what serves the file system that is mounted at `path`."""
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DaemonError(f"/dev/fuse: {error.strerror}", "`modprobe fuse`; a container needs /dev/fuse") from error
    options = f"fd={device},rootmode=100000,user_id={os.getuid()},group_id={os.getgid()}".encode()
    if _LIBC.mount(b"stampede", os.fsencode(path), b"fuse", _NOSUID | _NODEV | _NOEXEC, options):
        code = ctypes.get_errno()
        os.close(device)
        raise DaemonError(f"{path} cannot be mounted: {os.strerror(code)}", "`dmesg` may say more")
    return device


class _Server:
    """Answers the kernel's requests."""

    def __init__(self, device: int, content: Content, trouble: Callable[[Exception], None]) -> None:
        self._device, self._content, self._trouble = device, content, trouble
        self._now = int(time.time())

    def serve(self) -> None:
        """Until it is unmounted. Several threads may do this side by side."""
        while True:
            try:
                request = memoryview(os.read(self._device, _MAX_WRITE + 4096))
            except InterruptedError:
                continue
            except OSError as error:
                if error.errno == errno.ENOENT:
                    continue  # whoever asked was interrupted before we saw it
                if error.errno == errno.ENODEV:
                    return  # unmounted
                raise
            _, opcode, unique, *_ = _IN.unpack_from(request)
            if opcode in _UNANSWERED:
                continue
            code, answer = self._answered(opcode, request[_IN.size :])
            try:
                os.writev(self._device, [_OUT.pack(_OUT.size + len(answer), -code, unique), answer])
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise

    def _answered(self, opcode: int, body: memoryview) -> tuple[int, bytes]:
        """An errno, 0 for none, and the answer."""
        try:
            return 0, self._done(opcode, body)
        except NotImplementedError:
            return errno.ENOSYS, b""
        except OSError as error:
            self._trouble(error)
            return error.errno or errno.EIO, b""
        except StampedeError as error:
            self._trouble(error)
            return errno.EIO, b""

    def _done(self, opcode: int, body: memoryview) -> bytes:
        match opcode:
            case _Opcode.INIT:
                return self._init(*_INIT_IN.unpack_from(body))
            case _Opcode.GETATTR:
                return self._attributes()
            case _Opcode.OPEN:
                return _OPENED.pack(0, _DIRECT_IO, 0)
            case _Opcode.READ:
                _, start, size, *_ = _TRANSFER.unpack_from(body)
                return self._content.read(start, size)
            case _Opcode.WRITE:
                _, start, size, *_ = _TRANSFER.unpack_from(body)
                self._content.write(start, body[_TRANSFER.size : _TRANSFER.size + size])
                return _WRITTEN.pack(size, 0)
            case _Opcode.FSYNC:
                self._content.sync()
                return b""
            case _Opcode.RELEASE | _Opcode.FLUSH:
                return b""
            case _:
                raise NotImplementedError

    def _init(self, major: int, minor: int, readahead: int, flags: int) -> bytes:
        wanted = flags & _WANTED
        return _INIT_OUT.pack(7, min(minor, 31), readahead, wanted, 64, 48, _MAX_WRITE, 1, _MAX_PAGES, 0, 0, 0)

    def _attributes(self) -> bytes:
        size, now = self._content.size, self._now
        blocks = -(-size // 512)
        mode = 0o100600
        return _ATTRIBUTES.pack(
            _FOREVER_S, 0, 0, 1, size, blocks, now, now, now, 0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0
        )
