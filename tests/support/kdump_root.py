"""Debian 12 with systemd, initramfs-tools and dracut, of its own packages: a folder to make initrds in, and a disk.

No maintainer script runs: what they would make and is needed here is made here. The folder and the disk are kept in the
cache; initrds are kept by what they were made of.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import warmboot
from support.guests import byte_code, ext4
from warmboot.debian import Suite, cache_folder, unpack
from warmboot.debian.cache import is_stored, locked, store

__all__ = ["KdumpRoot", "kdump_root", "site_files"]

_KERNEL = r"linux-image-6\.1\.[0-9.]+-[0-9]+-cloud-amd64"
_NAMES = (
    *("base-files", "base-passwd", "libc-bin", "hostname", "login", "bash", "coreutils", "dash", "util-linux"),
    *("mount", "findutils", "grep", "sed", "diffutils", "tar"),
    *("gzip", "cpio", "zstd", "procps", "passwd", "systemd-sysv", "udev", "kmod", "iproute2", "iputils-arping"),
    *("initramfs-tools", "dracut-core", "dracut-network", "busybox", "python3-minimal", "libpython3.11-stdlib"),
    *("openssh-client", "openssh-server", "nfs-kernel-server", "e2fsprogs"),
)
# What only maintainer scripts need.
_LEFT_OUT = (
    "perl",
    "libperl",
    "usrmerge",
    "debconf",
    "adduser",
    "ucf",
    "libfile-",
    "libnumber-",
    "libtext-",
    "libgdbm",
)
_DROPPED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/i18n",
)
_LAYOUT = 3  # raised when what is made of the same packages changes
_PACKAGES = (
    "zstandard",
    "xxhash",
)
_HOME = "opt/warmboot"
_PASSWD = """\
root:x:0:0:root:/root:/bin/bash
kdump:x:1000:1000:kdump:/home/kdump:/bin/sh
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
systemd-network:x:998:998::/:/usr/sbin/nologin
messagebus:x:997:997::/:/usr/sbin/nologin
"""
_GROUPS = """\
root:0 tty:5 disk:6 lp:7 kmem:15 dialout:20 cdrom:24 floppy:25 tape:26 audio:29 shadow:42 utmp:43 video:44 users:100
input:101 sgx:102 kvm:103 render:104 systemd-journal:105 systemd-network:998 messagebus:997 kdump:1000 nogroup:65534
"""
# The first program: what a test adds lies on a disk of its own, and is laid over the root before systemd looks at it.
_INIT = """\
#!/bin/sh
mount -t proc proc /proc; mount -t devtmpfs dev /dev
until [ -b /dev/nvme0n2 ]; do sleep 0.1; done  # 6.1 names them by their numbers
mount -t ext4 -o ro /dev/nvme0n2 /opt/warmboot
cp -a /opt/warmboot/overlay/. /
exec "${site_init:-/sbin/init}"  # a word of the command line, which the kernel puts there
"""
# What is installed is never written on: what is made goes to memory, but for the result.
_INSIDE = """\
set -eu
mount -t tmpfs none "$1/opt"; cp -a "$2/." "$1/opt/"
mount -t tmpfs none "$1/tmp"; mount -t tmpfs none "$1/var/tmp"; mount -t tmpfs none "$1/run"
mkdir -p "$1/run/sshd"
mount -t proc proc "$1/proc"
mount -t tmpfs none "$1/dev"
for each in null zero urandom random full; do : >"$1/dev/$each"; mount --bind "/dev/$each" "$1/dev/$each"; done
ln -s /proc/self/fd "$1/dev/fd"
mount -t tmpfs none "$1/etc/warmboot"; cp -a "$3/." "$1/etc/warmboot/"
mount --bind "$4" "$1/mnt"
cd /
exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 /bin/sh -c "$5"
"""


class KdumpRoot:
    """The folder, the disk, and the kernel that both have."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder
        self.root: Path = folder / "root"
        self.disk: Path = folder / "disk.ext4"
        [self.kernel] = (self.root / "boot").glob("vmlinuz-*")
        self.release: str = self.kernel.name.removeprefix("vmlinuz-")

    def run(self, script: str, settings: Mapping[str, bytes], out: Path) -> subprocess.CompletedProcess[str]:
        """Run a shell script in it: `settings` lie in /etc/warmboot, `out` is /mnt, warmboot is in its PATH."""
        with tempfile.TemporaryDirectory() as temporary:
            command = self._command(script, settings, out, Path(temporary))
            return subprocess.run(command, capture_output=True, text=True, check=False)

    @contextmanager
    def running(self, script: str, settings: Mapping[str, bytes], out: Path) -> Iterator[subprocess.Popen[bytes]]:
        """The same, in the background for as long as it is wanted."""
        with tempfile.TemporaryDirectory() as temporary:
            command = self._command(script, settings, out, Path(temporary))
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
                try:
                    yield process
                finally:
                    process.kill()  # and with it all that it has started: --kill-child

    def _command(self, script: str, settings: Mapping[str, bytes], out: Path, temporary: Path) -> list[str]:
        site, etc = temporary / "site", temporary / "etc"
        write_files(site, {name.removeprefix("opt/"): data for name, data in site_files().items()})
        write_files(etc, settings)
        words = [str(self.root), str(site), str(etc), str(out), f"PATH=/opt/warmboot/bin:$PATH\n{script}"]
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation"]
        return [*command, "private" if _is_mount_point("/") else "unchanged", "sh", "-c", _INSIDE, "sh", *words]

    def initrd(self, tool: str, settings: Mapping[str, bytes]) -> tuple[Path, str]:
        """An initrd that `warmboot kdump initrd` makes with these files in /etc/warmboot, and what it printed."""
        made_of = [tool, self.folder.name, *sorted((name, data.hex()) for name, data in settings.items())]
        made_of += sorted((name, hashlib.sha256(data).hexdigest()) for name, data in site_files().items())
        key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
        path, log = self.folder / f"initrd-{key}.img", self.folder / f"initrd-{key}.log"
        with locked(self.folder / "initrd.lock"):
            if not (is_stored(path) and is_stored(log)):
                self._forget()
                with tempfile.TemporaryDirectory() as out:
                    words = f"--tool {tool} --release {self.release} --out /mnt/initrd"
                    install = (
                        "" if tool != "dracut" else "mount -t tmpfs none /usr/lib/dracut/modules.d/99warmboot-kdump;"
                    )
                    install += "warmboot kdump install >/dev/null;" if tool == "dracut" else ""
                    done = self.run(f"{install} warmboot kdump initrd {words}", settings, Path(out))
                    assert done.returncode == 0, done.stdout + done.stderr
                    store(path, Path(out, "initrd").read_bytes())
                    store(log, done.stdout.encode())
        return path, log.read_text()

    def _forget(self) -> None:
        """Initrds of older sources: only the newest few are kept."""
        old = sorted(self.folder.glob("initrd-*.img"), key=lambda each: each.stat().st_mtime)[:-8]
        for each in old:
            for name in (each, each.with_suffix(".log")):
                name.unlink(missing_ok=True)
                name.with_name(f"{name.name}.sha256").unlink(missing_ok=True)


def _is_mount_point(path: str) -> bool:
    """In a chroot / need not be one, and then its propagation cannot be changed."""
    rows = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return any(row.split(" ")[4] == path for row in rows)


@cache
def kdump_root() -> KdumpRoot:
    """Make it, unless it is in the cache."""
    key = hashlib.sha256(json.dumps([_LAYOUT, _NAMES, _KERNEL]).encode()).hexdigest()[:16]
    folder = cache_folder() / "kdump" / key
    with locked(folder / "lock"):
        if not (folder / "whole").exists():
            shutil.rmtree(folder / "root", ignore_errors=True)
            _make(folder / "root")
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                (folder / "root").rename(Path(temporary, "root"))
                ext4(Path(temporary, "root"), "root", spare=64 << 20).rename(folder / "disk.ext4")
                Path(temporary, "root").rename(folder / "root")
            (folder / "whole").touch()
    return KdumpRoot(folder)


def _make(root: Path) -> None:
    suite = Suite("bookworm")
    names = suite.with_dependencies([suite.newest(_KERNEL), *_NAMES])
    for deb in suite.fetch([each for each in names if not each.startswith(_LEFT_OUT)]):
        unpack(deb, root)
    for name in ("bin", "sbin", "lib", "lib64"):  # as usrmerge does it
        (root / "usr" / name).mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", f"{root / name}/.", f"{root / 'usr' / name}/"], check=True)
        shutil.rmtree(root / name)
        (root / name).symlink_to(f"usr/{name}")
    for name in _DROPPED:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in ("usr/bin/awk", "usr/bin/which"):
        target = {"awk": "mawk", "which": "which.debianutils"}[Path(name).name]
        if not (root / name).exists():
            (root / name).symlink_to(target)
    groups = "".join(f"{name}:x:{number}:\n" for name, number in (each.split(":") for each in _GROUPS.split()))
    texts = {"etc/passwd": _PASSWD, "etc/group": groups, "etc/machine-id": "", "etc/hostname": "kdump\n"}
    texts |= {"etc/fstab": "", "etc/nsswitch.conf": "hosts: files dns\n"}
    for name, text in texts.items():
        (root / name).write_text(text)
    (root / "sbin/init-with-site").write_text(_INIT)
    (root / "sbin/init-with-site").chmod(0o755)
    for name in (
        _HOME,
        "etc/warmboot",
        "var/lib/warmboot",
        "usr/lib/dracut/modules.d/99warmboot-kdump",
        "home/kdump",
        "mnt",
    ):
        (root / name).mkdir(parents=True, exist_ok=True)
    modules = [(path, path.read_bytes()) for path in (root / "usr/lib/python3.11").rglob("*.py")]
    write_files(Path("/"), {str(path).lstrip("/"): data for path, data in byte_code(modules).items()})
    [release] = [each.name for each in (root / "usr/lib/modules").iterdir()]
    subprocess.run(["chroot", str(root), "/sbin/depmod", release], check=True)
    subprocess.run(["chroot", str(root), "/sbin/ldconfig"], check=True)


@cache
def site_files() -> dict[str, bytes]:
    """warmboot as pip installs it into /opt/warmboot, with what it needs for a dump, from this environment."""
    found = importlib.util.find_spec("zstandard")
    assert found is not None
    assert found.origin is not None
    here = Path(found.origin).parents[1]
    site = f"{_HOME}/lib/python3.11/site-packages"
    files = {path: f"{site}/{path.relative_to(here)}" for name in _PACKAGES for path in _kept(here / name)}
    source = Path(warmboot.__file__).parent
    files |= {path: f"{site}/warmboot/{path.relative_to(source)}" for path in source.rglob("*") if _is_ours(path)}
    data = {path: path.read_bytes() for path in files}
    code = byte_code((path, each) for path, each in data.items() if path.suffix == ".py")
    made = {name: data[path] for path, name in files.items()}
    for path, each in code.items():
        module = path.parent.parent
        base = here if module.is_relative_to(here) else source.parent
        made[f"{site}/{path.relative_to(base)}"] = each
    made[f"{_HOME}/pyvenv.cfg"] = b"home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n"
    script = Path(__file__).parents[2] / "scripts/warmboot"
    return made | {f"{_HOME}/bin/warmboot": script.read_bytes(), f"{_HOME}/bin/python3": b""}


def _kept(folder: Path) -> Iterable[Path]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "tests" not in path.parts)
    return [path for path in paths if path.suffix == ".py" or ".so" in path.name]


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Files by their names; those in a bin are programs, and an empty python3 is a link to the system's."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "python3" and not data:
            path.symlink_to("/usr/bin/python3.11")
            continue
        path.write_bytes(data)
        if path.parent.name == "bin":
            path.chmod(0o755)
