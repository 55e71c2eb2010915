"""Machines, what is tried on each, and whether model and kernel agree: one boot for all cells of a machine."""

from __future__ import annotations

import errno
import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from support.secure_boot_guest import Computer, Step, facts_told, play
from support.signing import Signer, made, signed, small_kernel
from warmboot.debian import kernel
from warmboot.debian.built import TRUSTING, built_kernel
from warmboot.explain.catalog import CATALOG
from warmboot.explain.evidence import Evidence
from warmboot.explain.judge import diagnose_evidence
from warmboot.kernel import Kernel, PhysicalMemory
from warmboot.kernel.permit import permit
from warmboot.kernel.rules import KexecError
from warmboot.kernel.signature_verdict import signature_verdict
from warmboot.memmap import Facts
from warmboot.signatures.figures import signature_figures
from warmboot.signatures.refused import errno_name
from warmboot.uapi import (
    FileFacts,
    KexecFileFlags,
    KexecFileRequest,
    LoadRequest,
    Readable,
    Segment,
)

__all__ = ["Cell", "Machine", "State", "asked", "built_machines", "compared", "machines"]

_INIT_SIZE = 0x260  # in the boot protocol's header
_MIB = 1 << 20
_LOADED = (16 * _MIB, 16 * _MIB, 4096)  # entry, address, bytes
_LOCKDOWN = "/sys/kernel/security/lockdown"
_POLICY = "/sys/kernel/security/ima/policy"
_MAGIC = {"/tmp": 0x01021994, "/disk": 0xEF53}  # of file systems
_KEPT, _NONE, _HASH, _WRONG_HASH = "as written", "none", "hash", "wrong hash"


@dataclass(frozen=True)
class Cell:
    """One call in one state. Errnos are 0 for success; `decides` is what the model names."""

    machine: str
    state: str
    file: str
    call: str
    kernel: int
    model: int
    decides: str
    faults: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return self.kernel == self.model and not self.faults

    def row(self) -> tuple[str, ...]:
        """For a table."""
        names = (_name(self.kernel), _name(self.model))
        return (self.machine, self.state, self.file, self.call, *names, self.decides)


def _name(number: int) -> str:
    return errno_name(number) if number else "accepted"


@dataclass(frozen=True)
class State:
    """What is written to the kernel's files first, each with the errno that this has; and the files that are tried.

    A file is a name of `contents`, its folder and what its security.ima is: none, a hash, or a signer's name.
    """

    name: str
    writes: tuple[tuple[str, str, int], ...] = ()
    files: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Machine:
    name: str
    computer: Computer
    states: tuple[State, ...]


@cache
def _signers() -> dict[str, Signer]:
    db, mok = made("warmboot db CA", ca=True), made("warmboot MOK CA", ca=True)
    return {
        "db": db,
        "mok": mok,
        "of db": made("signer of db", db),
        "of mok": made("signer of MOK", mok),
        "revoked": made("revoked signer", db),
        "expired": made("expired signer", db, days=(-100, -50)),
        "stranger": made("a stranger's signer", made("a stranger's CA", ca=True)),
        "itself": made("signs itself"),
    }


@cache
def _bare(marker: bytes = b"") -> bytes:
    """A kernel of 64 KiB that asks for 1 MiB of memory: it loads whole, in no time."""
    data = bytearray(small_kernel())
    data[_INIT_SIZE : _INIT_SIZE + 4] = _MIB.to_bytes(4, "little")
    data[0xF000 : 0xF000 + len(marker)] = marker
    return bytes(data)


@cache
def contents() -> dict[str, bytes]:
    """Every file that is tried."""
    by = _signers()
    whole = kernel("6.12").read_bytes()
    good = signed(_bare(), by["of db"])
    return {
        "unsigned": _bare(),
        "in db": good,
        "damaged": _changed(good, 0x3000),
        "in MOK": signed(_bare(), by["of mok"]),
        "wrong CA": signed(_bare(), by["stranger"]),
        "self-signed": signed(_bare(), by["itself"]),
        "in dbx by hash": _forbidden(),
        "in dbx by certificate": signed(_bare(), by["revoked"]),
        "expired": signed(_bare(), by["expired"]),
        "appended": _bare() + _appended(_bare(), by["db"]),
        "appended, wrong key": _bare() + _appended(_bare(), by["itself"]),
        "Debian": whole,
        "Debian, damaged": _changed(whole, 0x300000),
    }


@cache
def _forbidden() -> bytes:
    return signed(_bare(b"forbidden"), _signers()["of db"])


def _changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(255 - each for each in data[at : at + 8]) + data[at + 8 :]


def _appended(data: bytes, signer: Signer) -> bytes:
    """As scripts/sign-file appends it to a module."""
    builder = PKCS7SignatureBuilder().set_data(data).add_signer(signer.certificate, signer.key, hashes.SHA256())
    options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary, PKCS7Options.NoAttributes]
    message = builder.sign(serialization.Encoding.DER, [*options, PKCS7Options.NoCerts])
    return message + struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(message)) + b"~Module signature appended~\n"


def _security_ima(data: bytes, what: str) -> bytes | None:
    """The attribute, as evmctl writes it; empty for none, None for what Linux itself writes."""
    if what == _KEPT:
        return None
    digest = hashlib.sha256(data).digest()
    sha256 = 4  # enum hash_algo
    if what in (_HASH, _WRONG_HASH):
        return bytes((4, sha256)) + (digest if what == _HASH else bytes(32))
    if what == _NONE:
        return b""
    signer = _signers()[what]
    signature = signer.key.sign(data, PKCS1v15(), hashes.SHA256())
    from cryptography import x509  # noqa: PLC0415

    identifier = signer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return bytes((3, 2, sha256)) + identifier[-4:] + len(signature).to_bytes(2, "big") + signature


@cache
def _built(name: str) -> bytes:
    """A kernel that Debian does not ship, signed by MOK's key so that shim lets GRUB start it."""
    return signed(built_kernel(name).read_bytes(), _signers()["of mok"])


def _computer(
    series: str, line: str = "", *, secure_boot: bool = True, trust_mok: bool = True, policy: str = ""
) -> Computer:
    """`policy` is what lies in /etc/ima, where systemd would load it from."""
    by = _signers()
    digest = signature_figures(memoryview(_forbidden()), "").authenticode_sha256
    assert digest is not None
    files = {_path(each): data for each, data in contents().items()}
    return Computer(
        series,
        _built(series) if series in TRUSTING else None,
        secure_boot,
        db=(by["db"].pem,),
        dbx=(by["revoked"].pem,),
        dbx_hashes=(digest,),
        mok=(by["mok"].pem,),
        trust_mok=trust_mok,
        command_line=line,
        files=files | ({"etc/ima/ima-policy": policy.encode()} if policy else {}),
    )


def _path(name: str) -> str:
    """Where a file lies in the guest."""
    return name.replace(" ", "_").replace("/", "_")


def asked(
    files: Mapping[str, bytes], series: str, *, db: Sequence[str] = (), mok: Sequence[str] = ()
) -> Iterator[Cell]:
    """The same of files of others, on a machine with Secure Boot that has those certificates, in PEM, besides."""
    named = {_path(name): data for name, data in files.items()}
    computer = Computer(series, db=tuple(db), mok=tuple(mok), files=named)
    state = State("", (), tuple((name, _TMP, _NONE) for name in files))
    return compared(Machine(f"{series}, Secure Boot", computer, (state,)), files)


_TMP, _DISK = "/tmp", "/disk"
_SMALL = tuple(
    (each, _TMP, _NONE)
    for each in (
        *("unsigned", "in db", "damaged", "in MOK", "wrong CA", "self-signed"),
        *("in dbx by hash", "in dbx by certificate", "expired", "appended"),
    )
)
_ALL = (*_SMALL, ("Debian", _TMP, _NONE), ("Debian, damaged", _TMP, _NONE))
_FEW = tuple((each, _TMP, _NONE) for each in ("unsigned", "in db", "in MOK", "wrong CA"))
_IMA = tuple(
    (file, _TMP, xattr)
    for file in ("unsigned", "in db", "wrong CA")
    for xattr in (_NONE, _HASH, _WRONG_HASH, "db", "mok", "stranger")
)
_ON_DISK = tuple(
    (file, _DISK, xattr) for file in ("unsigned", "in db") for xattr in (_KEPT, _NONE, _WRONG_HASH, "db", "stranger")
)
_LOCKED = (
    State("integrity", ((_LOCKDOWN, "integrity", 0),), _ALL),
    State("confidentiality", ((_LOCKDOWN, "confidentiality", 0),), _FEW),
)
_KEXEC_RULE = "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\n"
_MODSIG_RULE = "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig|modsig\n"


def built_machines() -> Iterator[Machine]:
    """Those whose kernels are built first, from Debian's source: they have what is off in Debian's own."""
    locked = (_LOCKDOWN, "integrity", 0)
    appended = tuple((each, _TMP, _NONE) for each in ("unsigned", "in db", "appended", "appended, wrong key"))
    yield Machine("trust, Secure Boot", _computer("trust"), (State("", (), _SMALL), State("again", (), _IMA)))
    yield Machine(
        "trust, no Secure Boot, a policy that is written",
        _computer("trust", secure_boot=False),
        (
            State("none", (), _SMALL),
            State("modsig", ((_POLICY, _MODSIG_RULE, 0),), (*appended, *_IMA)),
            State("modsig, integrity", (locked,), (*appended, *_IMA)),
        ),
    )
    yield Machine(
        "trust-forced, no Secure Boot",
        _computer("trust-forced", secure_boot=False),
        (State("none", (), _SMALL), State("integrity", (locked,), _SMALL)),
    )


@cache
def machines() -> tuple[Machine, ...]:
    """Those of Debian's kernels."""
    signed_only = (State("", (), _ALL), State("confidentiality", ((_LOCKDOWN, "confidentiality", 0),), _FEW))
    return (
        Machine("6.12, Secure Boot", _computer("6.12"), signed_only),
        Machine("6.12, Secure Boot, untrusted MOK", _computer("6.12", trust_mok=False), (State("", (), _SMALL),)),
        Machine("7.2, Secure Boot", _computer("7.2"), signed_only),
        Machine("6.1, Secure Boot", _computer("6.1"), signed_only),
        Machine("5.10, Secure Boot", _computer("5.10"), (State("", (), _ALL),)),
        Machine("6.12, no Secure Boot", _computer("6.12", secure_boot=False), (State("none", (), _ALL), *_LOCKED)),
        Machine(
            "6.12, Secure Boot, ima_policy=secure_boot ima_appraise=off",
            _computer("6.12", "ima_policy=secure_boot ima_appraise=off"),
            (State("", (), _IMA),),
        ),
        Machine(
            "6.12, no Secure Boot, ima_policy=secure_boot",
            _computer("6.12", "ima_policy=secure_boot", secure_boot=False),
            (
                State("none", (), _IMA),
                State("integrity", ((_LOCKDOWN, "integrity", 0),), _IMA),
            ),
        ),
        Machine(
            "6.12, no Secure Boot, ima_policy=appraise_tcb",
            _computer("6.12", "ima_policy=appraise_tcb", secure_boot=False),
            (
                State("none", (), (*_FEW, *_ON_DISK)),
                State("integrity", ((_LOCKDOWN, "integrity", 0),), (*_FEW, *_ON_DISK)),
            ),
        ),
        Machine(
            "6.12, no Secure Boot, a policy that is written",
            _computer("6.12", policy=_KEXEC_RULE, secure_boot=False),
            (
                State("modsig", ((_POLICY, _MODSIG_RULE, errno.EINVAL),), _FEW),
                State("imasig", ((_POLICY, _KEXEC_RULE, 0),), _IMA),
                State("imasig, integrity", ((_LOCKDOWN, "integrity", 0),), _IMA),
            ),
        ),
        Machine(
            "6.12, no Secure Boot, ima_policy=secure_boot ima_appraise=log",
            _computer("6.12", "ima_policy=secure_boot ima_appraise=log", secure_boot=False),
            (
                State("none", (), _IMA),
                State("integrity", ((_LOCKDOWN, "integrity", 0),), _IMA),
            ),
        ),
        Machine(
            "7.2, lockdown=confidentiality ima_policy=secure_boot",
            _computer("7.2", "lockdown=confidentiality ima_policy=secure_boot", secure_boot=False),
            (State("", (), _IMA),),
        ),
    )


def compared(machine: Machine, files: Mapping[str, bytes] | None = None) -> Iterator[Cell]:
    """Boot it, try everything, and ask the model the same on the facts that the machine told itself.

    `files` are those that its states name, where they are not `contents`.
    """
    files = files or contents()
    told = iter(play(machine.computer, list(_steps(machine, files))))
    for state in machine.states:
        for path, _, wanted in state.writes:
            found = next(told)
            assert found == wanted, f"{machine.name}, {state.name}: writing {path} gives {found}, not {wanted}"
        facts = facts_told(next(told))
        for file, folder, _ in state.files:
            number, xattr, owner = next(told)
            data = files[file]
            known = FileFacts(len(data), writers=False, security_ima=xattr, fsmagic=_MAGIC[folder], fowner=owner)
            yield _file_cell(machine, state, facts, file, data, known, number)
        entry, mem, size = _LOADED
        segment = Segment(Readable.of(bytes(size)), size, mem, size)
        yield _cell(machine, state, facts, "", "kexec_load", LoadRequest(entry, (segment,)), next(told))
        yield _cell(machine, state, facts, "", "kexec_load, unload", LoadRequest(0, ()), next(told))
        unload = KexecFileRequest(memoryview(b""), 0, b"", int(KexecFileFlags.UNLOAD))
        yield _cell(machine, state, facts, "", "kexec_file_load, unload", unload, next(told))


def _steps(machine: Machine, files: Mapping[str, bytes]) -> Iterator[Step]:
    for state in machine.states:
        for path, text, _ in state.writes:
            yield "write", path, text
        yield ("facts",)
        for file, folder, xattr in state.files:
            yield "file", _path(file), folder, _security_ima(files[file], xattr)
        yield "load", *_LOADED
        yield ("unload",)
        yield ("unload file",)


def _cell(
    machine: Machine,
    state: State,
    facts: Facts,
    file: str,
    call: str,
    request: LoadRequest | KexecFileRequest,
    number: int,
) -> Cell:
    """What the model says, and what explains an errno."""
    error = _asked(facts, request)
    faults = []
    if error is not None:
        evidence = Evidence((), error.errno, call.partition(",")[0], None, None, 0, None, ())
        findings = diagnose_evidence(evidence, facts).findings
        named = [each.rule for each in findings]
        if not any(each == error.rule.name or _of_signatures(each) for each in named):
            faults.append(f"explain names {', '.join(named) or 'nothing'}, not {error.rule.name}")
    decides = f"{error.rule.name}: {error}" if error is not None else "nothing forbids it"
    return Cell(machine.name, state.name, file, call, number, error.errno if error else 0, decides, tuple(faults))


def _of_signatures(name: str) -> bool:
    """Errnos of signatures have rules of their own there, such as signature_missing."""
    return CATALOG[name].group == "signature"


def _file_cell(
    machine: Machine, state: State, facts: Facts, file: str, data: bytes, known: FileFacts, number: int
) -> Cell:
    request = KexecFileRequest(memoryview(data), 0, b"x\0", int(KexecFileFlags.NO_INITRAMFS), kernel_file=known)
    name = f"{file} ({_words(known)})" if known.security_ima else file
    cell = _cell(machine, state, facts, name, "kexec_file_load", request, number)
    verdict = signature_verdict(facts, memoryview(data), signature_figures(memoryview(data), file), known)
    call = verdict.calls[0]
    faults = [*cell.faults]
    if (call.errno or "accepted") != _name(cell.model):
        faults.append(f"signature says {call.errno or 'accepted'}")
    decides = cell.decides
    if call.accepted:
        decides = f"{verdict.keyring}: {verdict.key}" if verdict.keyring else call.why
    return Cell(cell.machine, cell.state, cell.file, cell.call, cell.kernel, cell.model, decides, tuple(faults))


def _words(known: FileFacts) -> str:
    kind = (known.security_ima or b"\0")[0]
    return {3: "IMA signature", 4: "IMA hash"}.get(kind, f"IMA {kind}")


def _asked(facts: Facts, request: LoadRequest | KexecFileRequest) -> KexecError | None:
    with PhysicalMemory(facts.system_ram) as memory:
        try:
            permit(Kernel(facts, memory), request)
        except KexecError as error:
            return error
    return None
