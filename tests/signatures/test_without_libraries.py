"""Where asn1crypto and cryptography are not installed, as in a guest's root: nothing breaks, and it is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from warmboot import Facts
from warmboot.cli.main import main
from warmboot.debian import kernel
from warmboot.files.mapped import map_file
from warmboot.kernel.kexec_sig import check_signature
from warmboot.signatures.signers import signers

pytestmark = pytest.mark.needs_apt


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel that Debian signed, and no libraries from here on."""
    path = kernel("6.12")
    assert signers(map_file(path, "kernel"))
    for name in [each for each in sys.modules if each.partition(".")[0] in {"asn1crypto", "cryptography"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "site-packages" not in each])
    return path


def test_a_signature_counts_as_where_the_keys_are_not_known(signed: Path) -> None:
    data = map_file(signed, "kernel")
    assert signers(data) == ()
    assert check_signature(Facts.of_pc(1 << 30), data).errno == 0


def test_the_command_says_what_to_install(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["signature", str(signed)]) == 3
    said = capsys.readouterr().err
    assert "asn1crypto or cryptography is not installed" in said
    assert "try: python -m pip install asn1crypto cryptography" in said
