"""Each maker of initrds with each target, in real guests: panic, capture, dump; and what happens where it cannot be.

python bench/kdump.py [CELL]...     all cells take some minutes; as root, with QEMU, on Debian

Each row: what makes the initrd, where the dump goes, how large the initrd is, what the capture kernel said, and whether
the dump is there, opens, and has the message that was logged before the crash.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.guests import ext4
from support.kdump_guest import CRASH, boot, drive, dump_disk, files_of
from support.kdump_root import KdumpRoot, kdump_root
from support.vmcores import vmcore
from warmboot.dump.log import log_text
from warmboot.dump.opening import open_dump
from warmboot.dump.save import SavePlan, save

_FIRST = f"""\
exec >/dev/console 2>&1
mount -t sysfs sys /sys
set -x
warmboot kdump load >/dev/null
cat /sys/kernel/kexec_crash_loaded
echo "{CRASH}" >/dev/kmsg; echo c >/proc/sysrq-trigger
"""
_NFS = """\
exec >/dev/console 2>&1
mount -t sysfs sys /sys; mount -t tmpfs run /run; ip link set lo up
until [ -b /dev/nvme0n3 ] && [ -b /dev/nvme0n4 ]; do sleep 0.1; done
mkdir -p /srv/dumps /var/lib/nfs; mount -t ext4 /dev/nvme0n3 /srv/dumps; mount -t ext4 -o ro /dev/nvme0n4 /mnt
echo '/srv/dumps 127.0.0.1(rw,no_root_squash,insecure,no_subtree_check,fsid=0)' >/etc/exports
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
modprobe nfsd; mount -t nfsd nfsd /proc/fs/nfsd; exportfs -a; rpc.mountd -N 3; rpc.nfsd -N 3 1
warmboot kdump test --quick | sed 's/^/warmboot kdump: /'
warmboot kdump save 2>/dev/null; echo "warmboot kdump: end"
rpc.nfsd 0; exportfs -au; umount /srv/dumps
poweroff -f
"""
_ZONE = 0x10000  # bytes: ramoops.record_size
_END = 'after = "poweroff"\notherwise = "poweroff"\n'
_NETWORK = 'modules = ["virtio_net", "virtio_pci"]\nip = "{ip}"\nwait = 30\n'
_SLIRP = ["-netdev", "user,id=net,restrict=off", "-device", "virtio-net-pci,netdev=net"]
_STATIC = "10.0.2.15::10.0.2.2:255.255.255.0::eth0:none"


@dataclass(frozen=True)
class _Cell:
    name: str
    tool: str
    run: Callable[[KdumpRoot, str, Path], tuple[Path, str, dict[str, Path]]]


def main() -> int:
    """Run the cells; the exit status."""
    root = kdump_root()
    wanted = sys.argv[1:]
    print(f"{'cell':<24} {'initrd':>9}  {'seconds':>7}  {'dump':>9}  what was said last")
    failed = 0
    for cell in _CELLS:
        if wanted and cell.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            initrd, console, files = cell.run(root, cell.tool, Path(folder))
            said = [
                line.partition("warmboot kdump: ")[2] for line in console.splitlines() if "warmboot kdump: " in line
            ]
            good, size = _judged(files)
            failed += not (good or "no dump" in cell.name)
            shown = said[-2] if len(said) > 1 else (said or console.splitlines()[-1:] or ["nothing"])[0]
            packed = f"{initrd.stat().st_size / 2**20:.1f} MiB"
            print(f"{cell.name:<24} {packed:>9}  {time.monotonic() - began:7.1f}  {size:>9}  {shown[:110]}", flush=True)
            if os.environ.get("CONSOLE"):
                print(console)
    return 1 if failed else 0


def _judged(files: dict[str, Path]) -> tuple[bool, str]:
    """Whether a dump and its log are whole, and how large the dump is."""
    dumps = [path for name, path in files.items() if name.endswith(("/vmcore", "/vmcore.flat"))]
    logs = [path for name, path in files.items() if name.endswith("/vmcore-dmesg.txt")]
    if len(dumps) != 1 or len(logs) != 1:
        return False, "none"
    text = "\n".join(log_text(open_dump(dumps[0])))
    good = "sysrq triggered crash" in text and text.strip() == logs[0].read_text().strip()
    return good, f"{dumps[0].stat().st_size / 2**20:.1f} MiB" if good else "damaged"


def _to_disk(root: KdumpRoot, tool: str, folder: Path) -> tuple[Path, str, dict[str, Path]]:
    toml = f'kernel = "{_kernel(root)}"\ndevice = "LABEL=dump"\nfolder = "/crash"\n{_END}'
    disk = dump_disk(folder)
    initrd, told = _crash(root, tool, {"kdump.toml": toml.encode()}, drive("dump", disk, 3, writable=True))
    return initrd, told, files_of(disk, folder / "content")


def _to_full_disk(root: KdumpRoot, tool: str, folder: Path) -> tuple[Path, str, dict[str, Path]]:
    """A disk of 8 MiB, and pstore in 1 MiB that both kernels leave alone, looked for in the machine's memory."""
    at = 0x8000000
    toml = f'kernel = "{_kernel(root)}"\ndevice = "LABEL=dump"\nfolder = "/crash"\n{_END}modules = ["ramoops"]\n'
    toml += f'append = "nr_cpus=1 reset_devices printk.always_kmsg_dump=1 ramoops.mem_address={at:#x}'
    toml += ' ramoops.mem_size=0x100000 ramoops.record_size=0x10000 ramoops.max_reason=5"\n'
    disk, memory = dump_disk(folder, "8M"), folder / "memory"
    more = drive("dump", disk, 3, writable=True)
    more += [
        "-object",
        f"memory-backend-file,id=ram,size=512M,mem-path={memory},share=on",
        "-machine",
        "memory-backend=ram",
    ]
    initrd, told = _crash(root, tool, {"kdump.toml": toml.encode()}, more, f"memmap=1M${at:#x}")
    with memory.open("rb") as file:
        file.seek(at)
        kept = file.read(1 << 20)
    where = "in pstore: yes" if "warmboot kdump: the dump is not whole" in _pstore(kept) else "in pstore: NO"
    return initrd, f"{told}\nwarmboot kdump: {where}\nwarmboot kdump: end", files_of(disk, folder / "content")


def _pstore(memory: bytes) -> str:
    """What ramoops has kept (fs/pstore/ram_core.c): zones with a signature, a start and a size, and records that begin
    with ====SECONDS-C or -D, packed by raw deflate or not."""
    text = ""
    for at in range(0, len(memory), _ZONE):
        signature, _, size = struct.unpack_from("<4sII", memory, at)
        head, newline, data = memory[at + 12 : at + 12 + min(size, _ZONE - 12)].partition(b"\n")
        if signature != b"DBGC" or not newline or not head.startswith(b"===="):
            continue
        with suppress(zlib.error):
            text += (zlib.decompressobj(-15).decompress(data) if head.endswith(b"-C") else data).decode(
                "utf-8", "replace"
            )
    return text


def _to_nfs(root: KdumpRoot, tool: str, folder: Path) -> tuple[Path, str, dict[str, Path]]:
    """No crash: a dump file, saved to the kernel's NFS server of the same guest, whose folder is a disk."""
    toml = f'kernel = "{_kernel(root)}"\nnfs = "127.0.0.1:/"\nfolder = "/crash"\nvmcore = "/mnt/vmcore"\nwait = 20\n'
    (folder / "source").mkdir()
    plan = SavePlan((folder / "source/vmcore",), format="elf")
    save(open_dump(vmcore("6.1")), plan)
    disk, source = dump_disk(folder), ext4(folder / "source", "source")
    settings = {"kdump.toml": toml.encode()}
    initrd, _ = root.initrd(tool, {"kdump.toml": f'device = "LABEL=dump"\n{_END}'.encode()})
    more = drive("dump", disk, 3, writable=True) + drive("source", source, 4)
    told = boot(root, initrd, _NFS, settings=settings, systemd=False, more=more, timeout=90)
    return initrd, told.text, files_of(disk, folder / "content")


def _over_ssh(root: KdumpRoot, tool: str, folder: Path) -> tuple[Path, str, dict[str, Path]]:
    with _sshd(root, folder) as (port, keys):
        toml = f'kernel = "{_kernel(root)}"\nssh = "root@10.0.2.2"\nssh_port = {port}\nfolder = "/mnt/crash"\n{_END}'
        toml += 'ssh_key = "/etc/warmboot/key"\nknown_hosts = "/etc/warmboot/hosts"\n'
        toml += _NETWORK.format(ip="dhcp" if tool == "initramfs-tools" else _STATIC)
        settings = {"kdump.toml": toml.encode(), "key": keys["key"], "hosts": keys["hosts"]}
        initrd, told = _crash(root, tool, settings, _SLIRP)
        content = folder / "content"
        return initrd, told, {str(each.relative_to(content)): each for each in content.rglob("*") if each.is_file()}


def _crash(
    root: KdumpRoot, tool: str, settings: dict[str, bytes], more: list[str], append: str = ""
) -> tuple[Path, str]:
    initrd, _ = root.initrd(tool, settings)
    told = boot(
        root,
        initrd,
        _FIRST,
        settings=settings,
        systemd=False,
        append=f"crashkernel=192M {append}",
        more=more,
        timeout=90,
    )
    return initrd, told.text


def _kernel(root: KdumpRoot) -> str:
    return f"/boot/{root.kernel.name}"


@contextmanager
def _sshd(root: KdumpRoot, folder: Path) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Debian's sshd in that root, on a free port of this computer; /mnt there is `folder`/content."""
    etc, content = folder / "etc", folder / "content"
    etc.mkdir()
    content.mkdir(mode=0o700)
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(etc / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = (etc / "host.pub").read_text().split()
    (etc / "hosts").write_text(f"[10.0.2.2]:{port} {host[0]} {host[1]}\n")
    (etc / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey /etc/warmboot/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        "PermitRootLogin prohibit-password\nAuthorizedKeysFile /etc/warmboot/key.pub\n"
    )
    settings = {each.name: each.read_bytes() for each in etc.iterdir()}
    script = "chmod 600 /etc/warmboot/*; exec /usr/sbin/sshd -D -e -f /etc/warmboot/config"
    with root.running(script, settings, content):
        yield port, settings


_CELLS = (
    _Cell("initramfs-tools, disk", "initramfs-tools", _to_disk),
    _Cell("dracut, disk", "dracut", _to_disk),
    _Cell("initramfs-tools, ssh", "initramfs-tools", _over_ssh),
    _Cell("dracut, ssh", "dracut", _over_ssh),
    _Cell("nfs, without a crash", "initramfs-tools", _to_nfs),
    _Cell("no dump: a full disk", "initramfs-tools", _to_full_disk),
)

if __name__ == "__main__":
    assert shutil.which("ssh-keygen"), "ssh-keygen is missing: apt-get install openssh-client"
    sys.exit(main())
