"""Loop devices: a file as a disk. Source: loop(4), linux/loop.h.

A device is made to clear itself when its last user is gone: while it is being mounted that is us, afterwards the mount.
So whoever dies in between leaves none behind, and unmounting frees it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stampede.errors import DaemonError, Refused

_CONTROL = Path("/dev/loop-control")
_BLOCK_DEVICES = Path("/sys/block")
_SET_CAPACITY, _CONFIGURE, _GET_FREE = 0x4C07, 0x4C0A, 0x4C82
_AUTOCLEAR, _DIRECT_IO = 4, 16
_NAME_BYTES = 64
# loop_config: fd, block size (0: the kernel's choice), loop_info64 (flags and the file's name are all we set), reserved
_CONFIG = struct.Struct(f"=II52xI{_NAME_BYTES}s112x64x")
_TRIES = 32


@contextmanager
def attached(image: Path, *, direct_io: bool) -> Iterator[Path]:
    """A loop device with the content of `image`. It is gone after the context, unless it was mounted within.

    With `direct_io` blocks are not cached twice, where the file system below can do that.
    Raises: Refused when the image is attached already, DaemonError when no device is to be had.
    """
    refuse_attached(image)
    with image.open("r+b") as file:
        device, number = _configured(file.fileno(), image, _AUTOCLEAR | (_DIRECT_IO if direct_io else 0))
        try:
            yield Path(f"/dev/loop{number}")
        finally:
            os.close(device)


def refuse_attached(image: Path) -> None:
    """Returns if no loop device has the image: two that write to one file destroy it. Raises: Refused."""
    if found := device_of(image):
        raise Refused(
            f"{image} is attached to {found} already, and not by Stampede's mount",
            f"`losetup --detach {found}` once nothing uses it, then try again",
        )


def device_of(image: Path) -> Path | None:
    """The loop device that has this image, mounted or not."""
    wanted = str(image.resolve())
    for path in _BLOCK_DEVICES.glob("loop*/loop/backing_file"):
        try:
            if path.read_text().rstrip("\n") == wanted:
                return Path("/dev") / path.parts[-3]
        except OSError:
            continue  # detached meanwhile
    return None


def adopt_size(device: Path) -> None:
    """Afterwards the device is as large as its file has become."""
    descriptor = os.open(device, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SET_CAPACITY)
    finally:
        os.close(descriptor)


def _configured(file: int, image: Path, flags: int) -> tuple[int, int]:
    """A free device, open and set up. Somebody else may take the same free one, so this is tried again."""
    name = str(image).encode()[-(_NAME_BYTES - 1) :]
    for _ in range(_TRIES):
        number = _free_number()
        device = _opened(number)
        try:
            fcntl.ioctl(device, _CONFIGURE, _CONFIG.pack(file, 0, flags, name))
        except OSError as error:
            os.close(device)
            if error.errno != errno.EBUSY:
                raise DaemonError(f"{image} cannot be attached to /dev/loop{number}: {error.strerror}") from error
        else:
            return device, number
    raise _none_left("others took every device that was free")


def _free_number() -> int:
    try:
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _none_left(f"{_CONTROL}: {error.strerror}") from error
    try:
        return fcntl.ioctl(control, _GET_FREE)
    except OSError as error:
        raise _none_left(error.strerror or "") from error
    finally:
        os.close(control)


def _opened(number: int) -> int:
    try:
        return os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _none_left(f"/dev/loop{number}: {error.strerror}") from error


def _none_left(why: str) -> DaemonError:
    return DaemonError(
        f"no loop device is free ({why})",
        "every mounted volume takes one: `losetup --list` shows who has them; a container needs /dev from its host",
    )
