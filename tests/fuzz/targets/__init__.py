"""What is fuzzed: every parser of bytes that somebody else has made. A target takes any bytes and raises nothing but
what its parser is documented to raise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from fuzz.targets.debian import mirror
from fuzz.targets.dump_files import elf_core, flattened, kdump, log, raw, split
from fuzz.targets.dumps import btf, kallsyms, kernel_abi
from fuzz.targets.guests import boot, guest_answer, line_splitter, statement, trace, trace_file
from fuzz.targets.handovers import fdt, preserved
from fuzz.targets.images import decompress, file_load, images, kinds, module, placing
from fuzz.targets.machines import facts, iomem, live
from fuzz.targets.signatures import efi_lists, pkcs7, signed_file
from fuzz.targets.words import command_line, crashkernel, explained, numbers, options, sizes, visible_text

__all__ = ["TARGETS", "Target"]

Target: TypeAlias = Callable[[bytes], None]

TARGETS: Mapping[str, Target] = {
    "boot": boot,
    "btf": btf,
    "command_line": command_line,
    "crashkernel": crashkernel,
    "decompress": decompress,
    "efi_lists": efi_lists,
    "elf_core": elf_core,
    "explain": explained,
    "facts": facts,
    "fdt": fdt,
    "file_load": file_load,
    "flattened": flattened,
    "guest_answer": guest_answer,
    "images": images,
    "iomem": iomem,
    "kallsyms": kallsyms,
    "kernel_abi": kernel_abi,
    "kdump": kdump,
    "kinds": kinds,
    "line_splitter": line_splitter,
    "live": live,
    "log": log,
    "mirror": mirror,
    "module": module,
    "numbers": numbers,
    "options": options,
    "pkcs7": pkcs7,
    "placing": placing,
    "preserved": preserved,
    "raw": raw,
    "signed_file": signed_file,
    "sizes": sizes,
    "split": split,
    "statement": statement,
    "trace": trace,
    "trace_file": trace_file,
    "visible": visible_text,
}
