"""Images for tests, made from Debian packages: no registry is needed. Made once per daemon, then found there."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from stampede.programs import run

BUSYBOX = "stampede-test/busybox:1"
_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var", "www")
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nwww:x:1000:1000:www:/www:/bin/sh\n"
_GROUP = "root:x:0:\nwww:x:1000:\n"


def ensure_busybox(client: docker.DockerClient) -> str:
    """Afterwards the busybox image is on the daemon: a shell, httpd, nc; users root, www (1000). Returns its name."""
    try:
        client.images.get(BUSYBOX)
    except ImageNotFound:
        repository, _, tag = BUSYBOX.partition(":")
        changes = ['CMD ["sh"]', "ENV PATH=/bin"]
        client.api.import_image_from_data(_archive(busybox_program()), repository=repository, tag=tag, changes=changes)
    return BUSYBOX


def busybox_program() -> bytes:
    """Debian's statically linked busybox: the installed one, else out of the package, which apt fetches."""
    installed = Path("/bin/busybox")
    if installed.is_file():
        return installed.read_bytes()
    with tempfile.TemporaryDirectory(prefix="st-busybox-") as directory:
        run(["apt-get", "download", "busybox-static"], cwd=Path(directory))
        package = next(Path(directory).glob("*.deb"))
        run(["dpkg", "-x", package, Path(directory) / "root"])
        return (Path(directory) / "root/bin/busybox").read_bytes()


def _archive(busybox: bytes) -> bytes:
    """A root filesystem. The program's many names are links, made here since nothing can run at import."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in _DIRECTORIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name, content, mode in (
            ("bin/busybox", busybox, 0o755),
            ("etc/passwd", _PASSWD.encode(), 0o644),
            ("etc/group", _GROUP.encode(), 0o644),
            ("www/index.html", b"hello\n", 0o644),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        for name in _applets(busybox):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return held.getvalue()


def _applets(busybox: bytes) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="st-busybox-") as directory:
        program = Path(directory) / "busybox"
        program.write_bytes(busybox)
        program.chmod(0o755)
        names = run([program, "--list"]).out.split()
    return sorted(set(names) - {"busybox"})
