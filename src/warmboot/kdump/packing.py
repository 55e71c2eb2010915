"""Putting into a capture initrd's folder what saves the dump: Python and what of it is needed, warmboot, its codec, and
ssh where the dump goes over it. The initrd has no Python of its own, and saving needs no NumPy.

Modules are byte code alone, and ELF files end where what is loaded ends. In the end the folder's Python loads
everything, in that folder (chroot(2)): what does not load here would not load after a crash.
"""

from __future__ import annotations

import json
import marshal
import os
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import warmboot
from warmboot.errors import InputError, MissingToolError, RefusedError
from warmboot.kdump.config import KdumpConfig, kdump_toml
from warmboot.kdump.lean_elf import is_elf, lean
from warmboot.kdump.resolved import KEY, KNOWN_HOSTS, host_of, hosts_line, resolved
from warmboot.kdump.templates import template
from warmboot.programs import clean_environment, find_program
from warmboot.visible import visible

__all__ = ["SITE", "Packed", "Packer"]

SITE = "usr/lib/warmboot"
_LAUNCHER = """\
#!/bin/sh
exec {python} -IBS -X utf8 -c 'import sys
sys.path.insert(0, "/{site}")
sys.argv[0] = "warmboot"
from warmboot.cli.main import main
sys.exit(main())' "$@"
"""
_PROOF = """\
import sys
sys.path.insert(0, "/{site}")
from warmboot.kdump.closure import exercise
exercise({codec!r})
"""
_LIST = re.compile(r"(?:^|=> )(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
# PEP 552: flags 1, a hash that nobody compares
_PYC = MAGIC_NUMBER + b"\x01\0\0\0" + bytes(8)


@dataclass(slots=True)
class Packed:
    """What was put there, in bytes by part; `proven` is whether the folder's Python has loaded it all."""

    parts: Counter[str] = field(default_factory=Counter)
    files: int = 0
    proven: bool = False

    @property
    def bytes(self) -> int:
        """All of it, unpacked."""
        return self.parts.total()


class Packer:
    """Fills the folder `root`. Raises WarmbootError."""

    def __init__(self, root: Path) -> None:
        self.root: Path = root.resolve()
        self.packed: Packed = Packed()
        self._stdlib = Path(sysconfig.get_path("stdlib"))
        self._python = Path(os.path.realpath(sys.executable))

    def python(self, codec: str) -> None:
        """The interpreter, modules, libraries, and /usr/bin/warmboot."""
        told = _ask([sys.executable, "-IB", "-c", _closure_code(), codec], "this Python")
        found = json.loads(told)
        natives = [self.copy(self._python, "python")]
        for name, path in found["modules"].items():
            source = Path(path)
            where = self._place(name, source)
            if source.suffix == ".py":
                self._byte_code(source, where.with_suffix(".pyc"), _part(name))
            elif source.suffix == ".so":
                native = self.put(where, lean(source.read_bytes()), _part(name), mode=0o755)
                natives.append(native)
        self._landmark()
        for each in found["libraries"]:
            path = Path(each)
            if path.name.startswith("liblzo2"):
                natives.append(self.copy(path, "libraries"))
        self.libraries(natives)
        self.put(Path("usr/bin/warmboot"), _LAUNCHER.format(python=self._python, site=SITE).encode(), "warmboot", 0o755)
        self._prove(codec)

    def copy(self, path: Path, part: str, mode: int = 0o755) -> Path:
        """A file at its own place; a link becomes what it leads to."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}", hint="is its package installed?") from None
        return self.put(path.relative_to("/"), lean(data) if is_elf(data) else data, part, mode)

    def put(self, where: Path, data: bytes, part: str, mode: int = 0o644) -> Path:
        """`data` at a path below the folder, which links in it must not lead out of."""
        path = self.root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path = path.parent.resolve() / path.name
        if not path.is_relative_to(self.root):
            raise RefusedError(f"{visible(str(where))}: a link leads out of {self.root}", hint="give an empty folder")
        if path.is_symlink() or path.exists():
            path.unlink()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(file, "wb") as out:  # noqa: PTH123 - a descriptor
            out.write(data)
        path.chmod(mode)
        self.packed.parts[part] += len(data)
        self.packed.files += 1
        return path

    def libraries(self, natives: list[Path]) -> None:
        """The libraries that these files in the folder need, at their own places (ld.so(8), --list)."""
        wanted: set[str] = set()
        for each in natives:
            loader = find_loader(self._python)
            done = subprocess.run(
                [loader, "--list", str(each)], capture_output=True, text=True, env=clean_environment(), check=False
            )
            if "not found" in done.stdout:
                lost = next(line.strip() for line in done.stdout.splitlines() if "not found" in line)
                raise RefusedError(f"{each.name}: {visible(lost)}", hint="install that library")
            wanted.update(_LIST.findall(done.stdout))
            wanted.add(loader)
        for path in sorted(wanted):
            if not Path(path).resolve().is_relative_to(self.root) and not (self.root / path.lstrip("/")).exists():
                self.copy(Path(path), "libraries")

    def _place(self, name: str, source: Path) -> Path:
        """Python's own modules where they are, others below SITE by their names."""
        if source.is_relative_to(self._stdlib) and "site-packages" not in source.parts:
            return source.relative_to("/")
        parts = name.split(".")
        tail = [*parts, "__init__.py"] if source.stem == "__init__" else [*parts[:-1], source.name]
        return Path(SITE, *tail)

    def _byte_code(self, source: Path, where: Path, part: str) -> None:
        code = compile(source.read_bytes(), f"/{where.with_suffix('.py')}", "exec", dont_inherit=True, optimize=0)
        self.put(where, _PYC + marshal.dumps(code), part)

    def capture(self, config: KdumpConfig) -> None:
        """The script that saves and ends, the configuration, and what its target needs."""
        text = template("capture", after=config.after, otherwise=config.otherwise)
        self.put(Path(SITE, "capture"), text.encode(), "warmboot", 0o755)
        self.put(Path("etc/warmboot/kdump.toml"), kdump_toml(resolved(config)).encode(), "warmboot", 0o600)
        if config.ssh:
            ssh = find_program("ssh")
            if ssh is None:
                raise MissingToolError("ssh is not installed", hint="apt-get install openssh-client")
            self.libraries([self.copy(Path(ssh), "ssh")])
            for source, where in ((config.ssh_key, KEY), (config.known_hosts, KNOWN_HOSTS)):
                self.put(where.relative_to("/"), _secret(source), "ssh", 0o600)
            if not (self.root / "etc/passwd").exists():  # ssh asks who it is
                self.put(Path("etc/passwd"), b"root:x:0:0:root:/root:/bin/sh\n", "ssh")
        line = hosts_line(host_of(config)) if host_of(config) else ""
        if line:
            old = self.root / "etc/hosts"
            self.put(Path("etc/hosts"), (old.read_bytes() if old.exists() else b"") + line.encode(), "ssh")

    def _landmark(self) -> None:
        """Without os Python does not know where its library is; it is frozen, and so loaded from no file."""
        for name in ("os", "site"):
            self._byte_code(self._stdlib / f"{name}.py", (self._stdlib / f"{name}.pyc").relative_to("/"), "python")
        self.put((self._stdlib / "lib-dynload/.keep").relative_to("/"), b"", "python")

    def _prove(self, codec: str) -> None:
        chroot = find_program("chroot")
        if chroot is None or os.geteuid() != 0:
            return
        code = _PROOF.format(site=SITE, codec=codec)
        _ask([chroot, str(self.root), str(self._python), "-IBS", "-c", code], "Python in the initrd")
        self.packed.proven = True


def _secret(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{visible(str(path))}: cannot be read: {error.strerror}",
            hint="ssh-keygen -t ed25519 -f KEY; ssh-keyscan HOST >>known_hosts, and compare it with the host's own",
        ) from None


def find_loader(program: Path) -> str:
    """The dynamic loader that an ELF program names (PT_INTERP). Raises InputError."""
    from warmboot.formats.elf import PT_INTERP, header, program_headers  # noqa: PLC0415

    data = program.read_bytes()
    head = header(data)
    rows = [] if head is None else program_headers(data[head.phoff : head.phdrs_end], head.bits)
    for each in rows:
        if each.type == PT_INTERP:
            return data[each.offset : each.offset + each.filesz].rstrip(b"\0").decode()
    raise InputError(f"{program}: no dynamic program", hint="use a Python that is linked with the system's C library")


def _closure_code() -> str:
    """This very warmboot, wherever it was started from."""
    folder = str(Path(warmboot.__file__).parents[1])
    return f"import sys; sys.path.insert(0, {folder!r}); from warmboot.kdump.closure import main; main()"


def _part(name: str) -> str:
    top = name.partition(".")[0]
    return top if top in ("warmboot", "zstandard", "isal", "cramjam", "lzallright", "lz4") else "python"


def _ask(command: list[str], who: str) -> str:
    """What it prints. Raises RefusedError with its last words."""
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), check=False)
    if done.returncode:
        last = next((each for each in reversed(done.stderr.splitlines()) if each.strip()), f"status {done.returncode}")
        raise RefusedError(
            f"{who} cannot load what saves a dump: {visible(last, most=300)}",
            hint="python3 -m pip install --force-reinstall warmboot",
        )
    return done.stdout
