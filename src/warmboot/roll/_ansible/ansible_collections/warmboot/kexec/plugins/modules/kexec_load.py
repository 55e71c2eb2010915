"""Documentation of kexec_load; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kexec_load
short_description: copy a kernel to the machine and load it for kexec
version_added: 1.0.0
description:
  - Copies the kernel and its initrd to the machine, unless they are there already, and loads them with the C(kexec)
    there, either that of kexec-tools or that of warmboot. Nothing is started. Needs a shell with sha256sum on the
    machine, no Python.
options:
  kernel:
    description: The kernel, a file of the controller.
    type: path
    required: true
  kernel_sha256:
    description: Its SHA-256, where that is known; it is computed otherwise.
    type: str
  initrd:
    description: The initrd, a file of the controller.
    type: path
  initrd_sha256:
    description: Its SHA-256.
    type: str
  command_line:
    description: The new kernel's command line. By default it is that of the running kernel.
    type: str
  append:
    description: Add to the command line.
    type: str
  call:
    description: The system call.
    type: str
    choices: [auto, kexec_load, kexec_file_load]
    default: auto
  folder:
    description: Where the files are kept on the machine.
    type: path
    default: /var/lib/warmboot/roll
author:
  - The authors of warmboot
"""

EXAMPLES = r"""
- name: load a kernel
  warmboot.kexec.kexec_load:
    kernel: files/vmlinuz-6.12
    initrd: files/initrd.img-6.12
    append: quiet
"""

RETURN = r"""
warmboot:
  description: C(by) is the kexec that has loaded it, C(seconds) how long all of it took.
  returned: success
  type: dict
"""
