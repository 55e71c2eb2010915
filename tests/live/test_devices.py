"""What is told of devices: by a tree of files, by the script that asks other computers, and by what people paste."""

from __future__ import annotations

import subprocess
from pathlib import Path

from warmboot.live.devices import read_devices
from warmboot.live.from_files import facts_from
from warmboot.live.gathered import SCRIPT, facts_of, read_gathered

FILES = {
    "sys/class/drm/card0/device/uevent": "DRIVER=i915\nPCI_CLASS=30000\n",
    "sys/class/drm/card0-HDMI-A-1/device/uevent": "DRIVER=none\n",
    "sys/class/watchdog/watchdog0/state": "active\n",
    "sys/class/watchdog/watchdog0/timeout": "60\n",
    "sys/class/watchdog/watchdog0/identity": "iTCO_wdt [v6]\n",
    "sys/kernel/iommu_groups/0/type": "DMA\n",
    "sys/kernel/iommu_groups/1/type": "DMA\n",
    "sys/kernel/iommu_groups/2/type": "identity\n",
    "proc/modules": "nouveau 3000 0 - Live 0x0\ni915 4000 1 - Live 0x0\n",
    "proc/consoles": "ttyS0                -W- (EC p a)    4:64\n",
    "proc/fb": "0 i915drmfb\n",
    "devices/pci": "0000:00:02.0 i915\n../../etc/passwd x\n0000:00:1f.6 i6300ESB timer\n",
}
FOUND = {
    "pci": "0000:00:02.0 i915\n0000:00:1f.6 i6300ESB timer",
    "displays": "card0 i915",
    "watchdogs": "watchdog0 active 60 iTCO_wdt [v6]",
    "iommu": "DMA 2\nidentity 1",
    "framebuffers": "0 i915drmfb",
    "modules": "nouveau\ni915",
    "consoles": "ttyS0",
}
MAP = "00001000-3fffffff : System RAM\n"


def test_a_tree_of_files(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert read_devices(str(tmp_path)) == FOUND
    assert read_devices(str(tmp_path / "proc")) is None


def test_another_computer_tells_the_same() -> None:
    """As its script prints files: what is not asked for, and what would leave the folder, is not kept."""
    told = {"proc/iomem": MAP, "proc/sys/kernel/osrelease": "6.12.0\n", "proc/cpuinfo": "processor : 0\n", **FILES}
    told["sys/class/drm/../../../etc/uevent"] = "DRIVER=evil\n"
    output = "".join(f"={name}\n" + "".join(f" {line}\n" for line in text.splitlines()) for name, text in told.items())
    facts, _ = facts_of(read_gathered(f"{output}=end\n".encode(), "host"), "host")
    assert facts.devices == FOUND


def test_the_script_tells_what_is_read_here() -> None:
    done = subprocess.run(["/bin/sh", "-s"], input=SCRIPT.encode(), capture_output=True, check=False)
    found = read_gathered(done.stdout, "here")
    facts, _ = facts_of({**found, "proc/iomem": MAP.encode()}, "here")
    assert facts.devices == read_devices()


def test_lspci(tmp_path: Path) -> None:
    paste = tmp_path / "mail.txt"
    paste.write_text(
        f"{MAP}Linux host 6.12.117-amd64 #1 SMP Debian x86_64 GNU/Linux\n"
        "00:02.0 VGA compatible controller [0300]: Intel\n\tSubsystem: Dell\n\tKernel driver in use: i915\n"
        "00:1f.4 SMBus\n\tKernel modules: i2c_i801\n"
        "0000:03:00.0 3D controller\n\tKernel driver in use: nouveau\n"
    )
    facts, _ = facts_from([str(paste)])
    assert facts.devices == {"pci": "0000:00:02.0 i915\n0000:03:00.0 nouveau"}
