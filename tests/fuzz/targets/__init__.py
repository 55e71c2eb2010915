"""What is fuzzed: every parser of bytes that somebody else has made. A target takes any bytes and raises nothing but
what its parser is documented to raise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from fuzz.targets.debian import mirror
from fuzz.targets.guests import boot, guest_answer, line_splitter, statement, trace, trace_file
from fuzz.targets.images import decompress, file_load, images, kinds, module, placing
from fuzz.targets.machines import facts, iomem, live
from fuzz.targets.words import command_line, crashkernel, numbers, options, sizes, visible_text

__all__ = ["TARGETS", "Target"]

Target: TypeAlias = Callable[[bytes], None]

TARGETS: Mapping[str, Target] = {
    "boot": boot,
    "command_line": command_line,
    "crashkernel": crashkernel,
    "decompress": decompress,
    "facts": facts,
    "file_load": file_load,
    "guest_answer": guest_answer,
    "images": images,
    "iomem": iomem,
    "kinds": kinds,
    "line_splitter": line_splitter,
    "live": live,
    "mirror": mirror,
    "module": module,
    "numbers": numbers,
    "options": options,
    "placing": placing,
    "sizes": sizes,
    "statement": statement,
    "trace": trace,
    "trace_file": trace_file,
    "visible": visible_text,
}
