"""Documentation of machine_state; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_state
short_description: tell which kernel runs, and how it was started
version_added: 1.0.0
description:
  - Tells the boot id, the release, and whether a kexec or firmware started the kernel. Needs a shell on the machine,
    no Python.
options:
  script:
    description: A shell script whose output is returned too, such as the one that gathers facts for C(warmboot check).
    type: str
author:
  - The authors of warmboot
"""

EXAMPLES = r"""
- name: which kernel runs?
  warmboot.kexec.machine_state:
  register: state
"""

RETURN = r"""
warmboot:
  description: >-
    C(boot_id), C(release), C(how) (kexec, firmware, or null where it cannot be told), and C(output) of the script.
  returned: success
  type: dict
"""
