"""What a kernel needs of the processor: the features that its own setup code asks for, and those that it was built for.

Its setup code checks them in real mode, before it goes on (arch/x86/boot/cpucheck.c); a kexec enters behind that. The
compiler's level is told by the configuration alone.
"""

from __future__ import annotations

import struct

__all__ = ["built_for", "required_features"]

# Words of the table in cpucheck.c, and of which of their bits Linux makes requirements, by the names in /proc/cpuinfo.
_NAMES = {
    0: {0: "fpu", 3: "pse", 5: "msr", 6: "pae", 8: "cx8", 13: "pge", 15: "cmov", 24: "fxsr", 25: "sse", 26: "sse2"},
    1: {29: "lm"},
    3: {20: "nopl"},
    4: {0: "pni", 9: "ssse3", 13: "cx16", 19: "sse4_1", 20: "sse4_2", 22: "movbe", 23: "popcnt", 28: "avx"},
    6: {5: "abm"},
    9: {3: "bmi1", 5: "avx2", 8: "bmi2", 16: "avx512f"},
    16: {16: "la57"},
}
_ALWAYS, _LONG_MODE = 0x0700_8161, 1 << 29  # what every 64-bit kernel asks for
_ZERO = (2, 5, 7, 8)  # words of other makers and of Linux's own: nothing of them is ever required
_WORDS = 20
_LEVELS = {  # of the x86-64 psABI, by the names in /proc/cpuinfo
    2: ("cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"),
    3: ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"),
    4: ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


def required_features(setup: bytes | memoryview) -> tuple[str, ...]:
    """The features that a bzImage's setup code asks for; none where its table is not found."""
    data = bytes(setup)
    for at in range(0x200, len(data) - 4 * _WORDS, 4):
        first, second = struct.unpack_from("<II", data, at)
        if first & _ALWAYS == _ALWAYS and second & _LONG_MODE and not first >> 28:
            words = struct.unpack_from(f"<{_WORDS}I", data, at)
            if not any(words[each] for each in _ZERO):
                return tuple(
                    name for word, bits in _NAMES.items() for bit, name in bits.items() if words[word] >> bit & 1
                )
    return ()


def built_for(config: str) -> tuple[tuple[str, ...], str]:
    """The features that the compiler was allowed to use, by the kernel's configuration, and the line that says so.

    A kernel that is built for the processor of its builder names none: which they are is not told.
    """
    lines = set(config.splitlines())
    if "CONFIG_X86_NATIVE_CPU=y" in lines or "CONFIG_MNATIVE_INTEL=y" in lines or "CONFIG_MNATIVE_AMD=y" in lines:
        return (), "CONFIG_X86_NATIVE_CPU=y"
    for level in (4, 3, 2):
        for line in (f"CONFIG_X86_64_VERSION={level}", f"CONFIG_GENERIC_CPU{level}=y"):
            if line in lines:
                return tuple(name for each in range(2, level + 1) for name in _LEVELS[each]), line
    return (), ""
