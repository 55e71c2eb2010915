"""Documentation of probe; its action does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: a command, here or there, that has to succeed within so many seconds
version_added: 1.0.0
description:
  - Runs a command of the shell, by default on the controller, where it finds the machine in the environment as
    E(ROLL_MACHINE), E(ROLL_ADDRESS) and E(ROLL_PORT). It is tried again until its exit status is 0 or the time is up.
options:
  command:
    description: The command.
    type: str
    required: true
  there:
    description: Run it on the machine.
    type: bool
    default: false
  within:
    description: Seconds in which it must succeed; with 0 it is tried once.
    type: float
    default: 0
  timeout:
    description: Seconds that one try may take on the controller. By default as many as O(within), or 60.
    type: float
author:
  - The authors of warmboot
"""

EXAMPLES = r"""
- name: is it healthy?
  warmboot.kexec.probe:
    command: curl -fsS "http://$ROLL_ADDRESS/health"
    within: 30
"""

RETURN = r"""
warmboot:
  description: C(status), C(tries), C(seconds), and the end of the C(output).
  returned: always
  type: dict
"""
