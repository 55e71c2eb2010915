"""Drafted profiles of kernels that are known: each from the profile that is farthest, and what the draft makes of it.

    python bench/draft.py [KERNEL]... [--calls N] [--changed]

KERNEL is a series of Debian's kernels (default: all) or a file. The draft must find the rules that the model has for
that release, explain every call, and take less than 15 minutes. With --changed a kernel is built from Debian's source
that differs in three things: a flag of the file call more, one segment less, another errno for flags that are unknown.
The draft must find the first as a rule, and tell the two others as what no rule explains.

The status is 0 only if all of that holds.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from warmboot.debian import KERNELS, kernel
from warmboot.debian.built import SourceChange, built_changed, built_kernel
from warmboot.kernel import PROFILES, choose
from warmboot.oracle.draft.draft import Draft, draft
from warmboot.oracle.draft.rules import rules_of
from warmboot.oracle.draft.written import snippet, unexplained_lines

_MOST = 15 * 60  # seconds
_NEW_FLAG, _FEWER, _ERRNO = 0x40, 15, 95
_CHANGES = (
    SourceChange(
        "include/linux/kexec.h",
        "KEXEC_FILE_FORCE_DTB)",
        f"KEXEC_FILE_FORCE_DTB | {_NEW_FLAG:#x})",
    ),
    SourceChange("include/uapi/linux/kexec.h", "#define KEXEC_SEGMENT_MAX 16", f"#define KEXEC_SEGMENT_MAX {_FEWER}"),
    SourceChange(
        "kernel/kexec.c",
        "if ((flags & KEXEC_FLAGS) != (flags & ~KEXEC_ARCH_MASK))\n\t\treturn -EINVAL;",
        "if ((flags & KEXEC_FLAGS) != (flags & ~KEXEC_ARCH_MASK))\n\t\treturn -EOPNOTSUPP;",
    ),
)


def main() -> int:
    """Print what was found of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL")
    parser.add_argument("--calls", type=int, default=300, metavar="N", help="generated ones of each kind")
    parser.add_argument("--changed", action="store_true", help="build a kernel that differs, and draft that")
    args = parser.parse_args()
    good = True
    for name in args.kernels or ([] if args.changed else list(KERNELS)):
        good &= _known(kernel(name) if name in KERNELS else Path(name), args.calls)
    if args.changed:
        good &= _changed(args.calls)
    return 0 if good else 1


def _known(path: Path, calls: int) -> bool:
    began = time.monotonic()
    number = path.name.partition("-")[2].split(".")
    base = PROFILES[0] if number[:2] < ["6", "6"] else PROFILES[-1]
    found = draft(path, calls, base=base)
    spent = time.monotonic() - began
    machine = found.facts.machine
    wanted, rules = rules_of(choose(found.facts).profile, machine), rules_of(found.profile, machine)
    wrong = {rule: (value, rules[rule]) for rule, value in wanted.items() if rules[rule] != value}
    _print(found, spent)
    print(f"  rules that are not those of {choose(found.facts).profile.name}: {wrong or 'none'}", flush=True)
    return not wrong and not found.undecided and not found.unexplained and spent < _MOST


def _changed(calls: int) -> bool:
    """Before and after: only what was changed may differ."""
    plain = draft(built_kernel("kho"), calls, compat=False)
    began = time.monotonic()
    found = draft(built_changed(_CHANGES), calls, compat=False)
    spent = time.monotonic() - began
    _print(found, spent)
    kinds = {(each.linux, each.model) for each in found.unexplained} - {
        (each.linux, each.model) for each in plain.unexplained
    }
    machine = found.facts.machine
    before, after = rules_of(plain.profile, machine), rules_of(found.profile, machine)
    rules = {rule: (value, after[rule]) for rule, value in before.items() if after[rule] != value}
    print(f"  rules that differ from the kernel as it was: {rules}\n  kinds of answers that do: {sorted(kinds)}")
    flag = int(after["new_file_flags"]) == int(before["new_file_flags"]) | _NEW_FLAG
    by_rule = {each.error.rule.name if each.error else "accepted" for each in found.unexplained}
    errno_told = any(each.linux == -_ERRNO for each in found.unexplained)
    return flag and set(rules) == {"new_file_flags"} and errno_told and "accepted" in by_rule and spent < _MOST


def _print(found: Draft, spent: float) -> None:
    compared = ", ".join(f"{agree} of {count} {kind}" for kind, (count, agree) in found.compared.items())
    changes = ", ".join(f"{rule}={value}" for rule, value in found.changes.items())
    print(f"Linux {found.facts.release}: from {found.base.name}, {spent:.0f} s; generated calls that agree: {compared}")
    print(f"  found: {changes or 'nothing that is not so'}; undecided: {', '.join(found.undecided) or 'none'}")
    for line in (*snippet(found), *(line for each in found.unexplained for line in unexplained_lines(each))):
        print(f"  {line}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
