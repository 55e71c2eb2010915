"""Documentation of kexec_reboot; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kexec_reboot
short_description: start the kernel that is loaded, and wait until the machine is back
version_added: 1.0.0
description:
  - Where systemd runs, C(systemctl kexec) stops the services and starts the kernel; elsewhere file systems are synced,
    and C(kexec -e) starts it at once.
  - The machine is back when it answers with another boot id. It is a failure where it still has the same one after
    O(timeout), where it does not answer, where firmware has started it, and where its release is not O(release).
options:
  boot_id:
    description: The boot id that the machine is known to have; where it has another one, nothing is started.
    type: str
  release:
    description: The release of the new kernel, as C(uname -r) prints it.
    type: str
  timeout:
    description: Seconds until the machine must be back.
    type: float
    default: 120
  jump:
    description: Whether to start the kernel; otherwise only wait until the boot id is not O(boot_id).
    type: bool
    default: true
  jump_command:
    description: What starts the kernel there, instead of the above.
    type: str
author:
  - The authors of warmboot
"""

EXAMPLES = r"""
- name: start it
  warmboot.kexec.kexec_reboot:
    timeout: 60
"""

RETURN = r"""
warmboot:
  description: >-
    C(boot_id), C(release), C(how) it was started, C(seconds) from the command until it answered; where it is not back,
    C(lost) or C(stayed).
  returned: always
  type: dict
"""
