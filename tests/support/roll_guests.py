"""Machines of a fleet: guests with Debian's dropbear, which Ansible reaches over ssh, and which start other kernels.

A guest's root is in memory; Debian's programs and the modules of both kernels lie on disks that all guests read. What
goes wrong is planned by a word of the command line, which each kernel hands to the next.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.guests import FAST, ext4, shell, system_disk
from support.journey import kernel_file
from support.kdump_guest import drive
from support.kernel_modules import module_file
from warmboot.debian import Suite, release, unpack
from warmboot.machines.accel import Accel, accel_option, choose, cpu_model
from warmboot.machines.lifeline import spawn
from warmboot.machines.qemu import find_qemu

__all__ = ["NEW", "OLD", "Fleet", "Guest", "fleet"]

OLD, NEW = "6.1", "6.12"
_PACKAGES = ("dropbear-bin", "libtomcrypt1", "libtommath1", "libgmp10")
# In the order in which they need each other; the newer kernel has virtio built in.
_NET = ("failover", "net_failover", "virtio_net")
_VIRTIO = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci")
_MODULES = {OLD: (*_VIRTIO, *_NET), NEW: _NET}
_INIT = """\
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LD_LIBRARY_PATH=/site/lib
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /var/log; : >/var/log/lastlog; mount -t devpts devpts /dev/pts
mkdir -p /system /site /root/.ssh /etc /run /var/log /var/lib
for label in system site; do
    until disk=$(findfs LABEL=$label 2>/dev/null); do usleep 10000; done
    mount -o ro $disk /$label
done
for each in usr sbin lib lib64; do rm -rf /$each; ln -s /system/$each /$each; done
echo root:x:0:0:root:/root:/bin/sh >/etc/passwd; echo root:x:0: >/etc/group
cp /site/authorized_keys /root/.ssh/; chmod 700 /root /root/.ssh; chmod 600 /root/.ssh/*
for each in $(cat /proc/cmdline); do
    case $each in plan=*) plan=${each#plan=};; name=*) hostname ${each#name=};; esac
done
echo "guest: $(uname -r) plan ${plan:-none}"
case $(uname -r) in *NEW*) new=yes;; esac
[ "$plan$new" = hangsyes ] && halt -f
for each in $(cat /site/$(uname -r)/order); do insmod /site/$(uname -r)/$each.ko; done
ip link set lo up; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up
[ "$plan$new" = sickyes ] || echo fine >/run/service
mkdir -p /etc/dropbear
/site/bin/dropbear -R -E -s
echo guest: ready
while :; do sleep 3600; done
"""


@dataclass
class Guest:
    """A machine: its name, what is planned for it, where its ssh listens on 127.0.0.1, and QEMU's monitor."""

    name: str
    plan: str
    port: int
    monitor: Path
    console: Path

    @property
    def starts(self) -> list[str]:
        """The releases of the kernels that reached user space, in order."""
        said = self.console.read_text(errors="replace").splitlines()
        return [line.split()[1] for line in said if line.startswith("guest: ") and " plan " in line]


class Fleet:
    """Guests, an inventory of them, and the kernel and initrd to roll out."""

    def __init__(self, folder: Path, guests: Sequence[Guest], key: Path) -> None:
        self.folder = folder
        self.guests = {each.name: each for each in guests}
        self.kernel: Path = kernel_file(NEW)
        self.old, self.new = release(kernel_file(OLD)), release(self.kernel)
        self.initrd = folder / "initrd.img"
        self.inventory = folder / "inventory.json"
        self.reset = f"python3 {folder}/reset.py {folder}/$ROLL_MACHINE.qmp"
        (folder / "reset.py").write_text(_RESET)
        hosts: dict[str, dict[str, object]] = {each.name: {"ansible_port": each.port} for each in guests}
        for each in guests:
            if each.plan == "hangs":  # there is nothing to wait for
                hosts[each.name]["warmboot_timeout"] = 20
        ssh = self._ssh = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i {key}"
        common = {
            "ansible_host": "127.0.0.1",
            "ansible_user": "root",
            "ansible_ssh_common_args": ssh,
            "ansible_ssh_transfer_method": "piped",
            "ansible_remote_tmp": "/tmp/.ansible",
        }
        self.inventory.write_text(json.dumps({"web": {"hosts": hosts, "vars": common}}))

    def ssh(self, name: str, command: str) -> str:
        """What a command of the shell prints there."""
        words = ["ssh", *self._ssh.split(), "-o", "LogLevel=ERROR", "-p", str(self.guests[name].port)]
        done = subprocess.run(
            [*words, "root@127.0.0.1", command], capture_output=True, check=True, text=True, timeout=120
        )
        return done.stdout

    def wait(self, timeout: float = 240.0) -> None:
        """Until all are up."""
        end = time.monotonic() + timeout
        for each in self.guests.values():
            while "guest: ready" not in (text := each.console.read_text(errors="replace")):
                assert time.monotonic() < end, f"{each.name}: {text[-2000:]}"
                time.sleep(0.2)


_RESET = """\
import json, socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(10); s.connect(sys.argv[1]); f = s.makefile("rw")
    f.readline()
    for each in ("qmp_capabilities", "system_reset"):
        f.write(json.dumps({"execute": each}) + "\\n"); f.flush()
        while "return" not in json.loads(f.readline()): pass
"""


@contextmanager
def fleet(plans: Mapping[str, str], *, memory: str = "224M") -> Iterator[Fleet]:
    """Boot a guest for each name, whose plan is "", "hangs" (its new kernel halts) or "sick" (on the
    new kernel its service does not start)."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="warmboot-roll-")))
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        site = _site(folder, key.with_suffix(".pub").read_bytes())
        init = _INIT.replace("NEW", release(kernel_file(NEW)))
        (folder / "initrd.img").write_bytes(shell(init.encode()))
        guests = []
        for name, plan in plans.items():
            guest = Guest(name, plan, _free_port(), folder / f"{name}.qmp", folder / f"{name}.console")
            guest.console.touch()
            process = spawn(_command(guest, memory, folder, site), stack)
            stack.callback(process.wait)
            stack.callback(process.kill)
            guests.append(guest)
        made = Fleet(folder, guests, key)
        made.wait()
        yield made


def _command(guest: Guest, memory: str, folder: Path, site: Path) -> list[str]:
    qemu = find_qemu()
    accel = choose(qemu)
    accelerator = accel_option(accel, *(["tb-size=64"] if accel is Accel.TCG else []))
    line = f"console=ttyS0 quiet panic=0 {FAST} name={guest.name}" + (f" plan={guest.plan}" if guest.plan else "")
    words = [str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", memory]
    words += ["-accel", accelerator, "-cpu", cpu_model(accel) + (",-erms,-fsrm" if accel is Accel.TCG else "")]
    words += ["-serial", f"file:{guest.console}", "-qmp", f"unix:{guest.monitor},server=on,wait=off"]
    words += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{guest.port}-:22"]
    words += ["-device", "virtio-net-pci,netdev=net,romfile=", "-device", "nvme,id=nvme,serial=1"]
    words += drive("system", system_disk(), 1) + drive("site", site, 2)
    return [*words, "-kernel", str(kernel_file(OLD)), "-initrd", str(folder / "initrd.img"), "-append", line]


def _site(folder: Path, public_key: bytes) -> Path:
    root = folder / "site"
    unpacked = folder / "unpacked"
    for deb in Suite("bookworm").fetch(_PACKAGES):
        unpack(deb, unpacked)
    files = {"bin/dropbear": (unpacked / "usr/sbin/dropbear").read_bytes(), "authorized_keys": public_key}
    for path in unpacked.rglob("*.so.*"):
        files[f"lib/{path.name}"] = path.read_bytes()
    for series in (OLD, NEW):
        linux = release(kernel_file(series))
        files[f"{linux}/order"] = " ".join(_MODULES[series]).encode()
        files |= {f"{linux}/{name}.ko": module_file(series, name) for name in _MODULES[series]}
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "bin/dropbear").chmod(0o755)
    return ext4(root, "site")


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])
