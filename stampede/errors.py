"""Every error a user can meet, and what a program may conclude from it.

StampedeError                 exit 1   the operation failed
├── BadInput                  exit 2   what was asked for makes no sense; nothing was changed
│   ├── StackFileError                 … in a stack file, with file, line and key path
│   ├── UnknownName                    no such stack, service, revision or host
│   └── NotAvailableYet                a key of a later release
├── Cancelled                 exit 3   someone cancelled the run; what served goes on serving
├── StackLocked               exit 4   another change of this stack is under way
├── Unreachable               exit 5   nothing answered
│   ├── ServerUnreachable              the Prefect API
│   └── HostUnreachable                a host's worker
├── Refused                   exit 6   Stampede would not do it without being told to; nothing was changed
│   ├── Foreign                        a name, address or another stack's port is not ours
│   ├── NeedsAdoption                  a Compose project of this name runs already
│   └── InUse                          something has a volume open
├── Fenced                    exit 1   a newer change has taken over; this one must not touch anything any more
├── Unhealthy                 exit 1   an instance ended, or did not become healthy in time
├── UpdateFailed              exit 1   new instances did not become healthy; the stack goes back where it was
│   └── UpdatePaused                   … and stays as it is, because the file says failure_action: pause
├── BackupError               exit 1   a backup cannot be made, read or found
│   ├── Damaged                        what is stored is not what was written: changed, cut short, swapped or missing
│   ├── WrongKey                       this key opens none of the repository's slots
│   ├── NewerFormat                    written by a later release
│   └── Overtaken                      others changed the backups again and again meanwhile; nothing was published
└── DaemonError               exit 1   a daemon refused, and asking again would not help
    ├── StoreRefused                   an object store refused
    │   ├── WrongCredentials           … the access key
    │   ├── WrongRegion                … this region for this bucket
    │   ├── BucketMissing              … because it has no such bucket
    │   └── ClockSkew                  … because this host's clock is wrong
    └── Transient             exit 1   a daemon or registry was away or busy: tasks retry these, and only these
        └── StoreUnavailable           an object store

Messages say what failed; `hint` names the next command or the change to make. Both are strings and are the only
arguments, so that an error survives its way through Prefect's results (which keep the class and its string arguments).
"""

from __future__ import annotations

from typing import ClassVar


class StampedeError(Exception):
    """An operation failed. `message` says what, `hint` what to do about it (may be empty)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class BadInput(StampedeError):
    """What was asked for makes no sense; nothing was changed."""

    exit_code = 2


class StackFileError(BadInput):
    """Something in a stack file is wrong; the message names file, line and key path where they are known."""


class UnknownName(BadInput):
    """No stack, service, revision or host of that name."""


class NotAvailableYet(BadInput):
    """A key that a later release will act on; refused, because leaving it out would change what the app means."""


class Cancelled(StampedeError):
    """Someone cancelled the run; instances that served go on serving."""

    exit_code = 3


class StackLocked(StampedeError):
    """Another change of this stack is under way; the message says which, why and since when."""

    exit_code = 4


class Unreachable(StampedeError):
    """Nothing answered."""

    exit_code = 5


class ServerUnreachable(Unreachable):
    """The Prefect API did not answer."""


class HostUnreachable(Unreachable):
    """The worker of a host did not answer."""


class Refused(StampedeError):
    """Stampede would not do this without being told to; nothing was changed."""

    exit_code = 6


class Foreign(Refused):
    """A container name, port, network or address belongs to somebody else, and is never touched."""


class NeedsAdoption(Refused):
    """A Compose project of this name runs here already."""


class InUse(Refused):
    """Something has a volume open that has to be left alone meanwhile; the message says what."""


class Fenced(StampedeError):
    """A change with a higher fencing number has been seen on this host: this one must stop."""


class Unhealthy(StampedeError):
    """An instance ended, or did not become healthy in time; the message holds its last output."""


class UpdateFailed(StampedeError):
    """New instances did not become healthy; the stack goes back to the revision that served."""


class UpdatePaused(UpdateFailed):
    """New instances did not become healthy, and the file says that everything stays as it is then."""


class BackupError(StampedeError):
    """A backup cannot be made, read or found."""


class Damaged(BackupError):
    """What is stored is not what was written: changed, cut short, swapped or missing; the message says which object."""


class WrongKey(BackupError):
    """This key opens none of the repository's slots."""


class NewerFormat(BackupError):
    """Written by a later release, which this one must not guess at."""


class Overtaken(BackupError):
    """Others changed the volume's backups again and again meanwhile. Nothing was published; what was sent is reused."""


class DaemonError(StampedeError):
    """A daemon refused, and asking again would not help."""


class ImageMissing(DaemonError):
    """An image is neither on the host nor to be had from its registry."""


class PortTaken(DaemonError):
    """A host port is in use by a program that is not ours."""


class StoreRefused(DaemonError):
    """An object store refused, and asking again would not help."""


class WrongCredentials(StoreRefused):
    """It does not know the access key, or the key may not do this."""


class WrongRegion(StoreRefused):
    """The bucket is in another region."""


class BucketMissing(StoreRefused):
    """There is no bucket of that name."""


class ClockSkew(StoreRefused):
    """The clock of this host is too far from the store's."""


class Transient(DaemonError):
    """A daemon or registry was away or busy. Side-effect tasks retry this class, and no other."""


class DaemonUnavailable(Transient):
    """dockerd or haproxy does not answer."""


class RegistryUnreachable(Transient):
    """A registry did not answer."""


class StoreUnavailable(Transient):
    """An object store did not answer, or only with errors of its own, for as long as we asked."""
