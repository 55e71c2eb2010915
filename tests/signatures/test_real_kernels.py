"""What real kernels say of signatures: good, wrong, broken in every way; and what the model says is the same.

A kernel says in its log what it found (a debug message of kexec_file.c), where nothing forces it to refuse; under
lockdown the call itself is refused.
"""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from support.signature_cases import cases, facts_with_keys_of, files, model, mutations
from support.signature_guest import Case, ask
from warmboot.debian import kernel
from warmboot.kernel.kexec_sig import check_signature
from warmboot.kernel.signature_verdict import signature_verdict
from warmboot.signatures.figures import signature_figures

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_apt, pytest.mark.slow(60)]

_PASSED = errno.EINVAL  # the command line, which is looked at next, has no end


@pytest.mark.parametrize(("series", "seed"), [("6.12", 3), ("7.2", 4)])
def test_the_model_says_the_same(series: str, seed: int) -> None:
    facts, content = facts_with_keys_of(kernel(series)), files()
    whole, damaged = list(cases()), list(mutations(100, seed))
    asked = [*whole, *damaged]
    told = ask(kernel(series), content, asked)
    said = {each.name: told.answers[each.name][1] for each in asked}
    ours = {each.name: model(facts, content, each) for each in asked}
    assert {each.name: said[each.name] for each in whole} == {each.name: ours[each.name] for each in whole}
    # Of random changes Linux's decoder and asn1crypto may call one in a hundred wrong in two ways; both refuse it.
    assert [each.name for each in damaged if (said[each.name] == 0) != (ours[each.name] == 0)] == []
    assert sum(said[each.name] != ours[each.name] for each in damaged) <= 5
    # Without lockdown all are taken; under lockdown none, as none is signed by a key of that kernel.
    assert {told.answers[each.name][0] for each in asked} == {_PASSED}
    assert {told.answers[each.name][2] for each in asked if each.locked} == {errno.EPERM}
    assert told.calls == {"unload": errno.EPERM, "file unload": 0}
    [key] = told.keys[".builtin_trusted_keys"]
    assert facts.trust is not None
    assert key.endswith(f";{facts.trust['.builtin_trusted_keys']}")


def test_a_kernel_that_has_the_key() -> None:
    """Debian's certificates were compiled into 5.10; later ones get them from shim."""
    signed = kernel("6.12").read_bytes()
    content = {"debian": signed}
    damaged = Case("damaged", "debian", ((0x300000, b"damaged"),))
    checksum = Case("checksum", "debian", ((0xD8, b"\1\2\3\4"),))  # the PE checksum is not signed
    longer = Case("longer", "debian", (), len(signed) + 8)
    asked = [Case("debian", "debian"), damaged, checksum, longer]
    told = ask(kernel("5.10"), content, asked, memory=1 << 30)
    facts = facts_with_keys_of(kernel("5.10"))
    for each in asked:
        assert told.answers[each.name][1] == model(facts, content, each), each.name
    assert told.answers["debian"][2:] == [_PASSED, 0]
    assert told.answers["damaged"][1:] == [errno.EKEYREJECTED, errno.EPERM, 0]
    locked = replace(facts, lockdown="none [integrity] confidentiality")
    data = memoryview(signed)
    check = check_signature(locked, data)
    assert check.trusted is not None
    assert check.trusted.key.description.startswith("Debian Secure Boot")
    verdict = signature_verdict(locked, data, signature_figures(data, "debian"))
    assert [each.accepted for each in verdict.calls] == [True, False]
    assert verdict.keyring == ".secondary_trusted_keys"
