"""A computer with Secure Boot: what its kernel says of files and calls, and what the model says on the facts it told.

One boot of bench/secure_boot.py's dozen; in others IMA appraises besides.
"""

from __future__ import annotations

import pytest

from support.secure_boot_cases import compared, machines

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_apt, pytest.mark.slow(60)]


def test_kernel_and_model_agree() -> None:
    [machine] = [each for each in machines() if each.name == "6.12, Secure Boot"]
    cells = list(compared(machine))
    assert [each for each in cells if not each.agrees] == []
    found = {(each.file, each.call): each for each in cells if not each.state}
    # Debian's own kernel is accepted under lockdown, by a key that shim brought; and kexec_load is no way around it.
    debian = found["Debian", "kexec_file_load"]
    assert (debian.kernel, "Debian Secure Boot CA" in debian.decides) == (0, True)
    assert all(found["", call].kernel for call in ("kexec_load", "kexec_load, unload"))
    assert {each.state for each in cells} == {"", "confidentiality"}
