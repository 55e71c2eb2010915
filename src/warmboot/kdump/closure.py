"""What of Python saving a dump needs: found by loading all of it in a process of its own, and looking at what that has.

Asking for files by name would miss what a release of Python moves; asking the import system cannot. NumPy is not
needed: modules that load it read dumps that were saved, which a capture kernel has none of.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["exercise", "loaded_libraries", "loaded_modules"]

_OURS = (
    *("warmboot.cli.main", "warmboot.cli.kdump", "warmboot.report.text.dump", "warmboot.report.text.words"),
    *("warmboot.report.text.terminal", "warmboot.cli.dump_save"),
)
_PACKAGES = ("warmboot.dump", "warmboot.kdump")
_LEFT_OUT = ("warmboot.dump.drgn_program", "warmboot.kdump.packing")  # readers' and builders' own
# What is imported by name somewhere: codecs of file names and consoles, threads, processes, and what reports a fault.
_PYTHON = (
    *("encodings.utf_8", "encodings.ascii", "encodings.latin_1"),
    *("concurrent.futures.thread", "subprocess", "selectors", "select", "fcntl", "socket", "traceback", "tempfile"),
    *("tomllib", "ctypes.util", "locale", "zlib"),
)
# OpenSSL is 5 MiB and not used: Python has hashes of its own. The others are this environment's.
_NEVER = ("_hashlib", "_ssl", "ssl", "site", "sitecustomize", "usercustomize", "_distutils_hack", "__main__")


def exercise(codec: str) -> None:
    """Load everything, and compress a page, as some modules are loaded by the first use."""
    sys.modules["numpy"] = None  # type: ignore[assignment] # whoever imports it gets an ImportError
    for name in (*_PYTHON, *_OURS):
        importlib.import_module(name)
    for name in importlib.import_module("warmboot.cli.kdump").KDUMP_COMMANDS:
        importlib.import_module(f"warmboot.cli.kdump_{name}")
    for package in _PACKAGES:
        _load_package(package)
    if codec != "none":
        from warmboot.dump.page_codecs import compressor  # noqa: PLC0415 - after all others

        compressor(codec, 4096)(memoryview(bytes(4096)), [(0, 1)])


def _load_package(package: str) -> None:
    folder = importlib.import_module(package).__path__
    for each in pkgutil.iter_modules(folder):
        name = f"{package}.{each.name}"
        if name in _LEFT_OUT:
            continue
        try:
            importlib.import_module(name)
        except ImportError as error:
            if error.name != "numpy":
                raise
            sys.modules.pop(name, None)
            continue
        if each.ispkg and (each.name != "arch" or package != "warmboot.dump"):
            _load_package(name)
        elif each.ispkg:
            importlib.import_module(f"{name}.{os.uname().machine}")


def loaded_modules() -> Iterator[tuple[str, str]]:
    """Name and file of every module that is loaded from one. Frozen ones have a file too."""
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and name.partition(".")[0] not in _NEVER and not name.startswith("__editable__"):
            real = getattr(getattr(module, "__spec__", None), "name", name)
            yield real, os.path.abspath(path)  # noqa: PTH100 - links stay: a package's files lie beside one another


def loaded_libraries() -> set[str]:
    """Files of shared libraries that are mapped: those that are found by ctypes are among them."""
    with Path("/proc/self/maps").open(encoding="utf-8", errors="surrogateescape") as lines:
        return {line.split(maxsplit=5)[5].strip() for line in lines if ".so" in line and "/" in line}


def main() -> None:
    """In a process of its own: print it as JSON."""
    exercise(sys.argv[1])
    print(json.dumps({"modules": dict(loaded_modules()), "libraries": sorted(loaded_libraries())}))


if __name__ == "__main__":
    main()
