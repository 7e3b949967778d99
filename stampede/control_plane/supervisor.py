"""Keeps services running where there is no systemd: `python -m stampede.control_plane.supervisor`.

Services are started in sessions of their own and outlive this process: when it is killed, the next one adopts what
runs, by pid and start time. Programs that end are started again, after 1 s, doubling up to 30 s. It looks at the
service files each second, and at once on SIGHUP; a changed service is started anew, a removed one is stopped. With
the file run/stopped only services that carry traffic run; when there are none, it ends. SIGTERM stops everything.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from stampede.control_plane import logs, services
from stampede.control_plane.processes import Process, read_pid, start_time, this_process, write_pid
from stampede.control_plane.services import Service
from stampede.errors import StampedeError
from stampede.places import Places

PID_FILE = "supervisor.pid"
STOPPED_FILE = "stopped"
BEAT_S = 1.0
LONGEST_PAUSE_S = 30.0
SOUND_AFTER_S = 30.0


@dataclass
class Kept:
    """A service, the process that runs it, and when it may be started next (monotonic seconds)."""

    service: Service
    process: Process | None = None
    began: float = 0.0
    pause_s: float = 1.0
    not_before: float = 0.0
    stopping_since: float | None = None


@dataclass
class Supervisor:
    places: Places
    kept: dict[str, Kept] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    stamp: tuple[tuple[str, int], ...] = ()
    ending: bool = False
    told: bool = True

    def run(self) -> None:
        """Work until SIGTERM, or until the control plane is stopped and nothing carries traffic."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGHUP, self._look_again)
        signal.signal(signal.SIGCHLD, self._child_ended)
        self._adopt()
        # Only now can it be found: a signal before this would have ended it, and left what it came to stop.
        write_pid(self.places.run / PID_FILE, this_process())
        while True:
            self._reap()
            wanted = self._wanted()
            if wanted is not None:
                self._settle(wanted)
                if not wanted and not self.kept:
                    return
            logs.rotate(self.places.logs)
            select.select([reader], [], [], BEAT_S)
            try:
                os.read(reader, 4096)
            except BlockingIOError:
                continue

    def _adopt(self) -> None:
        """Afterwards what a supervisor that was killed left running is known, so that it is also stopped if need be."""
        try:
            self._read_services()
        except (StampedeError, OSError) as error:
            _say(f"service files: {error}")
        for name, service in self.services.items():
            if (process := read_pid(self._pid_file(name))) is not None:
                self.kept[name] = Kept(service, process)

    def _end(self, *_: object) -> None:
        self.ending = True

    def _child_ended(self, *_: object) -> None:
        """Nothing to do but wake up: the next beat sees which one it was."""

    def _look_again(self, *_: object) -> None:
        self.told = True

    def _wanted(self) -> dict[str, Service] | None:
        """What is to run now; None when the service files cannot be read, in which case all stays as it is."""
        if self.ending:
            return {}
        try:
            self._read_services()
        except (StampedeError, OSError) as error:
            _say(f"service files: {error}")
            return None
        stopped = (self.places.run / STOPPED_FILE).exists()
        return {name: service for name, service in self.services.items() if service.traffic or not stopped}

    def _read_services(self) -> None:
        """Afterwards `services` and `digests` say what the files say."""
        stamp = services.stamp(self.places)
        if stamp != self.stamp or self.told:
            self.services = services.load(self.places)
            self.digests = {name: service.digest for name, service in self.services.items()}
            self.stamp, self.told = stamp, False

    def _settle(self, wanted: dict[str, Service]) -> None:
        """One step from what runs towards what is wanted."""
        for name, service in wanted.items():
            kept = self.kept.setdefault(name, Kept(service, read_pid(self._pid_file(name))))
            kept.service = service
        for name, kept in list(self.kept.items()):
            if kept.process is not None and not kept.process.alive:
                self._has_ended(kept)
            if kept.process is None:
                if name not in wanted:
                    del self.kept[name]
                elif time.monotonic() >= kept.not_before:
                    self._start(kept)
            elif name not in wanted or kept.process.digest != self.digests[name]:
                self._stop(kept)

    def _start(self, kept: Kept) -> None:
        service = kept.service
        log = logs.open_log(self.places.logs / f"{service.name}.log")
        environment = dict(os.environ)
        try:
            if service.env_file:
                environment |= services.read_env(Path(service.env_file))
            actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
            # What this process ignores or blocks must not be inherited, and a session of its own outlives us.
            pid = os.posix_spawnp(
                service.argv[0],
                service.argv,
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD),
            )
        except OSError as error:
            _say(f"{service.name} could not be started: {error}")
            self._back_off(kept)
            return
        finally:
            os.close(log)
        kept.process = Process(pid, start_time(pid) or 0, self.digests[service.name])
        kept.began = time.monotonic()
        write_pid(self._pid_file(service.name), kept.process)
        _say(f"{service.name} started, pid {pid}")

    def _has_ended(self, kept: Kept) -> None:
        _say(f"{kept.service.name} ended, pid {kept.process.pid if kept.process else '?'}")
        asked = kept.stopping_since is not None
        kept.process, kept.stopping_since = None, None
        self._pid_file(kept.service.name).unlink(missing_ok=True)
        if asked or time.monotonic() - kept.began > SOUND_AFTER_S:
            kept.pause_s = 1.0
        if not asked:
            self._back_off(kept)

    def _back_off(self, kept: Kept) -> None:
        kept.not_before = time.monotonic() + kept.pause_s
        kept.pause_s = min(LONGEST_PAUSE_S, kept.pause_s * 2)

    def _stop(self, kept: Kept) -> None:
        """SIGTERM once nothing that has to stop before it runs; SIGKILL after its time."""
        before = [one for one in self.kept.values() if kept.service.name in one.service.after]
        if self.ending and any(one.process is not None for one in before):
            return
        if kept.process is None:
            return
        if kept.stopping_since is None:
            kept.stopping_since = time.monotonic()
            kept.process.terminate()
        elif time.monotonic() - kept.stopping_since > kept.service.stop_timeout_s:
            kept.process.kill()

    def _pid_file(self, name: str) -> Path:
        return self.places.run / f"{name}.pid"

    @staticmethod
    def _reap() -> None:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return


def main() -> None:
    """Become a daemon and supervise; a no-op when another supervisor holds the lock."""
    places = Places.of_environment()
    places.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir("/")
    lock = os.open(places.run / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(0)
    log, nothing = logs.open_log(places.logs / "supervisor.log"), os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    Supervisor(places).run()
    (places.run / PID_FILE).unlink(missing_ok=True)


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
