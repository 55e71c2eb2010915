"""x86-64's machine code, in the words of objdump."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.oracle.reached.arch.interface import CodeArch, Flow

__all__ = ["ARCH"]

_END = frozenset(["ret", "retq", "lret", "iretq", "hlt"])


@dataclass(frozen=True, slots=True)
class _X86Code:
    prefixes: frozenset[str] = frozenset(
        ["bnd", "notrack", "cs", "ds", "lock", "rep", "repz", "repnz", "data16", "rex.W"]
    )
    feature_tests: str = ".altinstr_aux"

    def flow(self, name: str) -> Flow:
        """jmp also with a suffix; ud2 is what BUG and WARN are made of, int3 what lies behind functions."""
        if name.startswith("jmp"):
            return Flow.JUMP
        if name.startswith(("j", "loop")):
            return Flow.BRANCH
        if name in _END:
            return Flow.END
        return {"ud2": Flow.TRAP, "int3": Flow.PADDING}.get(name, Flow.ON)


ARCH: CodeArch = _X86Code()
