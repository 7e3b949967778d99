"""A host that is reached with ssh: Debian's sshd on loopback, in a view of this machine's files that is its own.

There `/var/lib/stampede` is what the test says, and users are `root` and `guest`. Everybody logs in with the same key.
`ssh` is the real program with a configuration of the test's own, because it looks for its files in the home directory
that /etc/passwd names, and that is not the test's.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from stampede.programs import run
from tests.lab.debian import unpacked
from tests.lab.installation import until

HOST = "st-behind-ssh"

# $1 is the folder, $2 the state directory, the rest is sshd. Its compiled-in /run/sshd has to be there.
_VIEW = r"""
set -eu
mount --make-rprivate /
folder=$1 state=$2; shift 2
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/shadow" /etc/shadow
mkdir "$folder/run" "$folder/lib"
mount -t tmpfs -o mode=755 tmpfs "$folder/run"
mkdir "$folder/run/sshd"
touch "$folder/run/docker.sock"
[ ! -S /run/docker.sock ] || mount --bind /run/docker.sock "$folder/run/docker.sock"
mount --rbind "$folder/run" /run
mkdir "$folder/lib/stampede"
[ -z "$state" ] || mount --bind "$state" "$folder/lib/stampede"
mount --rbind "$folder/lib" /var/lib
exec "$@"
"""
_SSHD = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host-key
AuthorizedKeysFile {folder}/operator-key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
"""
_SSH = """
Host {host}
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/operator-key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known-hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""


@dataclass
class LabSshd:
    """`folder` holds everything of it, `state` is seen as /var/lib/stampede by those who log in."""

    folder: Path
    port: int
    state: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def path(self) -> str:
        """The PATH on which `ssh` is one that knows HOST."""
        return f"{self.folder}/bin:{os.environ['PATH']}"

    def start(self) -> None:
        """Afterwards it lets the operator in, and the operator knows it."""
        self.folder.chmod(0o755)
        for key in ("host-key", "operator-key"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key])
        self.know((self.folder / "host-key.pub").read_text())
        users = ("root:x:0:0::/root:/bin/sh", "sshd:x:999:65534::/run/sshd:/bin/false", "guest:x:1000:1000::/:/bin/sh")
        (self.folder / "passwd").write_text("".join(f"{user}\n" for user in users))
        (self.folder / "shadow").write_text("".join(f"{user.split(':')[0]}:*:1::::::\n" for user in users))
        (self.folder / "sshd_config").write_text(_SSHD.format(port=self.port, folder=self.folder))
        (self.folder / "ssh_config").write_text(_SSH.format(host=HOST, port=self.port, folder=self.folder))
        (self.folder / "bin").mkdir()
        (self.folder / "bin/ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.folder}/ssh_config "$@"\n')
        (self.folder / "bin/ssh").chmod(0o755)
        sshd = [unpacked("openssh-server") / "usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"]
        view = ["unshare", "--mount", "sh", "-c", _VIEW, "view", self.folder, self.state or ""]
        words = [str(word) for word in (*view, *sshd)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        until(self._answers, "sshd answers", 20)

    def know(self, public_key: str) -> None:
        """Afterwards the operator takes this key for that of the host, and no other."""
        (self.folder / "known-hosts").write_text(f"[127.0.0.1]:{self.port} {public_key}")

    def stop(self) -> None:
        """Afterwards it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return run(["ssh-keyscan", "-p", str(self.port), "127.0.0.1"], check=False).out != ""
