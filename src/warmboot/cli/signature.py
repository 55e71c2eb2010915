"""`warmboot signature`: who signed a kernel file, and whether a machine's kernel accepts it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import print_answer
from warmboot.cli.options import add_json, add_like
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus, InputError, MissingToolError
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.memmap import Facts
    from warmboot.uapi import FileFacts

__all__ = ["add_parser", "run"]

_WHEN = "Use it before a kexec under Secure Boot or lockdown, or where one said 'Key was rejected' or 'not permitted'."
_ABOUT = """\
It shows who signed the file, with which certificates and until when, and whether the signature is sound. Then it asks
as this machine's kernel would, or that of --like: is a key in .builtin_trusted_keys, .secondary_trusted_keys or
.machine behind it; if none is, one in .platform (EFI's db, shim's list); is one revoked (dbx, .blacklist). It says
what each call does with the file, which key decides, and how a missing one is enrolled. Linux looks at no clock: a
certificate that has expired counts, unless the signature itself says that it was made after that. Where a rule of
IMA's policy appraises kernels, the file's security.ima is looked at first.
Facts tell what a kernel's own keys are called, not the certificates: --kernel reads those from its file, and without
it they are believed to have made the signatures that name them."""
_EXAMPLES = (
    "warmboot signature /boot/vmlinuz-6.12",
    "warmboot signature vmlinuz.signed --like host.json",
    "warmboot signature new.efi --like host.json --kernel /boot/vmlinuz-6.12 --json",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `signature`."""
    parser = add_command(
        subparsers,
        "signature",
        summary="who signed a kernel, and does this machine accept it?",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "the machine's kernel loads it by kexec_file_load", "1": "it refuses it"},
    )
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="a vmlinuz, a unified kernel image or another EFI program")
    add_like(parser)
    add("--kernel", metavar="VMLINUZ", type=Path, help="the running kernel's file: the certificates in it count as its")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.files.mapped import map_file  # noqa: PLC0415 - only when it runs, as below
    from warmboot.kernel.signature_verdict import signature_verdict  # noqa: PLC0415
    from warmboot.report.json.machine_documents import SignatureAnswer  # noqa: PLC0415
    from warmboot.report.text.signature import signature_lines  # noqa: PLC0415
    from warmboot.signatures import can_verify  # noqa: PLC0415
    from warmboot.signatures.figures import signature_figures  # noqa: PLC0415

    if not can_verify():
        hint = "python -m pip install asn1crypto cryptography"
        raise MissingToolError("signatures cannot be read here: asn1crypto or cryptography is not installed", hint=hint)
    data = map_file(args.file, "file")
    figures = signature_figures(data, str(args.file))
    facts, why_not = _facts(args)
    if facts is not None and args.kernel is not None:
        facts = _with_keys_of(facts, args.kernel)
    verdict = signature_verdict(facts, data, figures, _file(args.file)) if facts is not None else None
    answer = SignatureAnswer(figures, verdict, why_not)
    if args.json:
        print_json(document("signature", answer))
    else:
        print_answer(signature_lines(answer), indent=4)
    accepted = verdict.calls[0].accepted if verdict is not None else figures.sound
    return ExitStatus.DONE if accepted else ExitStatus.REFUSED


def _file(path: Path) -> FileFacts | None:
    """What IMA looks at besides the bytes, as it is here."""
    from warmboot.live.file_facts import file_facts  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            return file_facts(file.fileno())
    except OSError:
        return None


def _facts(args: argparse.Namespace) -> tuple[Facts | None, str | None]:
    """The machine to ask; and why there is none, where this computer does not tell enough."""
    from warmboot.memmap import Facts  # noqa: PLC0415

    if args.like is not None:
        try:
            return Facts.from_json(args.like.read_bytes(), str(args.like)), None
        except OSError as error:
            raise InputError(f"{args.like}: cannot be read: {error.strerror}", hint="check the path") from None
    from warmboot.live.facts import read_facts  # noqa: PLC0415

    try:
        return read_facts(), None
    except InputError as error:
        return None, f"{error}; {error.hint}"


def _with_keys_of(facts: Facts, kernel: Path) -> Facts:
    """The facts with the certificates in that kernel file: the kernel's own keys, where facts do not tell which."""
    from ssl import DER_cert_to_PEM_cert  # noqa: PLC0415 - only --kernel needs it, as below

    from warmboot.dump.kernel_file import vmlinux  # noqa: PLC0415
    from warmboot.images import identify  # noqa: PLC0415
    from warmboot.signatures.compiled_in import compiled_in  # noqa: PLC0415
    from warmboot.signatures.names import BUILTIN  # noqa: PLC0415

    found = compiled_in(vmlinux(identify(kernel), visible(str(kernel)))[1])
    trust = dict(facts.trust or {})
    trust["certificates"] = trust.get("certificates", "") + "".join(DER_cert_to_PEM_cert(each.raw) for each in found)
    trust.setdefault(BUILTIN, "\n".join(each.description for each in found))
    return replace(facts, trust=trust)
