"""A plugin of pytest for who tests kernels: `kernel`, `initrd`, `machine`, `rehearsal` and `guest` as fixtures.

Every pytest loads it where warmboot is installed, so that it imports nothing of warmboot before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from warmboot.memmap import Facts
    from warmboot.stages import Result

__all__ = ["CommandResult", "Guest", "Rehearsal", "guest", "initrd", "kernel", "machine", "rehearsal"]

_SERIES = "6.12"
_MARKERS = (
    "kernel(name): the kernel that `kernel` gives: a file, or a series of Debian's such as 6.12",
    "machine(memory='1G', cpus=None, facts=None): the machine of `rehearsal` and `guest`; `facts` is a file",
    "rehearsal(append='', initrd=None, call='auto', timeout=120.0): what `rehearsal` asks for",
)
_BEGIN, _STATUS = "warmboot-command-begins", "warmboot-command-status"
_INIT = f"""\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
dmesg -n 1
echo {_BEGIN}
sh /script 2>&1
status=$?
echo
echo {_STATUS} $status
poweroff -f
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; each has a line for the configuration file too."""
    group = parser.getgroup("warmboot", "kernels that are rehearsed by warmboot")
    group.addoption(
        "--warmboot-kernel",
        metavar="KERNEL",
        help=f"the kernel of the tests: a file, or a series of Debian's (default: {_SERIES})",
    )
    group.addoption(
        "--warmboot-initrd", metavar="FILE", action="append", type=Path, help="their initial RAM disk; may be repeated"
    )
    group.addoption("--warmboot-like", metavar="FACTS", type=Path, help="their machine: a file by 'warmboot facts'")
    parser.addini("warmboot_kernel", "as --warmboot-kernel", default=_SERIES)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for each in _MARKERS:
        config.addinivalue_line("markers", each)


class CommandResult(NamedTuple):
    """How a script ended in a guest: its exit status, and all that it printed."""

    status: int
    output: str


class Rehearsal:
    """A kernel that is loaded and booted on a machine, when that is first asked for.

    `result` has the stages with their figures. The console is shown where the test fails.
    """

    def __init__(
        self,
        kernel: Path,
        initrds: Sequence[Path],
        machine: Facts,
        node: pytest.Item,
        **options: Any,  # noqa: ANN401 - those of the marker
    ) -> None:
        self._kernel, self._initrds, self._machine, self._node = kernel, initrds, machine, node
        self._options = options
        self._result: Result | None = None
        self._lines: Sequence[str] = ()

    @property
    def result(self) -> Result:
        """The stages and the verdict. Raises warmboot.WarmbootError for unusable input."""
        return self._result or self._rehearsed(None)

    @property
    def passed(self) -> bool:
        """Whether it loads, and boots to user space."""
        return self.result.exit_status == 0

    @property
    def console(self) -> str:
        """What the kernel wrote to its console: the last lines, where there are many."""
        _ = self.result
        return "\n".join(self._lines)

    def reached(self, text: str) -> bool:
        """Whether `text` is on the console; where it is not there yet, the kernel is booted until it is.

        False after the marker's timeout, or where the kernel stops before it.
        """
        if self._result is not None and any(text in line for line in self._lines):
            return True
        self._rehearsed(text)
        return any(text in line for line in self._lines)

    def crash(self, crashkernel: str = "256M", *, on: str = "model", save: Path | None = None) -> Result:
        """Rehearse a crash of the kernel: would the machine give a dump? `on` is "model" or "guest"."""
        from warmboot.rehearsal.capture.options import CrashOptions, Way  # noqa: PLC0415
        from warmboot.rehearsal.capture.rehearse import rehearse_crash  # noqa: PLC0415
        from warmboot.report.recorder import Recorder  # noqa: PLC0415
        from warmboot.stages import Silent  # noqa: PLC0415

        options = CrashOptions(self._kernel, crashkernel=crashkernel, save=save)
        recorder = Recorder(Silent())
        self._lines = recorder.lines
        return rehearse_crash(options, Way(on), recorder)

    def _rehearsed(self, until: str | None) -> Result:
        from warmboot import Options, rehearse  # noqa: PLC0415 - only a test that rehearses needs it
        from warmboot.kernel.call import Call  # noqa: PLC0415
        from warmboot.placement.command_line import CommandLineRequest  # noqa: PLC0415
        from warmboot.report.recorder import Recorder  # noqa: PLC0415
        from warmboot.stages import Silent  # noqa: PLC0415

        recorder = Recorder(Silent())
        self._lines = recorder.lines
        options = Options(
            self._kernel,
            self._machine,
            initrds=self._initrds,
            command_line=CommandLineRequest(append=self._options.get("append", "")),
            call=Call(self._options.get("call", "auto")),
            cpus=self._options.get("cpus"),
            timeout=self._options.get("timeout", 120.0),
            until=until,
        )
        self._result = rehearse(options, recorder)
        self._node.add_report_section("call", "console", "\n".join(self._lines))
        self._node.user_properties.append(("warmboot_verdict", self._result.verdict))
        return self._result


class Guest:
    """A machine on which scripts are run, each in a fresh boot of the kernel, with busybox, Python and kmod."""

    def __init__(self, kernel: Path, machine: Facts, node: pytest.Item, folder: Path, cpus: int | None) -> None:
        self._kernel, self._machine, self._node, self._folder, self._cpus = kernel, machine, node, folder, cpus

    def run(
        self, script: str, *, files: Mapping[str, bytes | Path] | None = None, append: str = "", timeout: float = 120.0
    ) -> CommandResult:
        """Boot, run the shell script as root, power off. `files` are put where their names say, such as /k.ko.

        Raises AssertionError, with the console's last lines, where the kernel does not run the script to its end.
        """
        from warmboot.debian import cpio, guest_root  # noqa: PLC0415

        entries = [cpio.file("init", _INIT.encode(), 0o755), cpio.file("script", script.encode())]
        for name, data in (files or {}).items():
            content = data.read_bytes() if isinstance(data, Path) else data
            entries.append(cpio.file(name.lstrip("/"), content, 0o755))
        own = self._folder / "script.cpio"
        own.write_bytes(cpio.archive(entries))
        booted = Rehearsal(
            self._kernel,
            [guest_root(), own],
            self._machine,
            self._node,
            append=append,
            timeout=timeout,
            cpus=self._cpus,
        )
        booted.reached(f"{_STATUS} ")
        lines = booted.console.split("\n")
        ends = [number for number, line in enumerate(lines) if line.startswith(f"{_STATUS} ")]
        begins = [number for number, line in enumerate(lines) if line == _BEGIN]
        if not ends or not begins:
            raise AssertionError("the script did not end:\n" + "\n".join(lines[-30:]))
        output = "\n".join(lines[begins[0] + 1 : ends[-1]]).removesuffix("\n")
        return CommandResult(int(lines[ends[-1]].removeprefix(f"{_STATUS} ")), output)


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> Path:
    """The kernel file: of the marker, of --warmboot-kernel, or of the configuration; Debian's come from the cache."""
    marker = request.node.get_closest_marker("kernel")
    option = request.config.getoption("--warmboot-kernel") or request.config.getini("warmboot_kernel")
    return _kernel_file(str(marker.args[0] if marker else option))


@pytest.fixture
def initrd(request: pytest.FixtureRequest) -> Sequence[Path]:
    """The initial RAM disks: those of --warmboot-initrd, or a small one that has a shell and powers off."""
    from warmboot.debian import guest_root  # noqa: PLC0415 - it may fetch packages

    given: Sequence[Path] | None = request.config.getoption("--warmboot-initrd")
    return given or [guest_root()]


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Facts:
    """The machine: of the marker, or of --warmboot-like; otherwise a PC with 1 GiB."""
    from warmboot import Facts  # noqa: PLC0415
    from warmboot.memmap import parse_size  # noqa: PLC0415

    options = _options(request, "machine")
    file = options.get("facts") or request.config.getoption("--warmboot-like")
    if file is not None:
        return Facts.from_json(Path(file).read_text(encoding="utf-8"), str(file))
    return Facts.of_pc(parse_size(str(options.get("memory", "1G"))))


@pytest.fixture
def rehearsal(request: pytest.FixtureRequest, kernel: Path, initrd: Sequence[Path], machine: Facts) -> Rehearsal:
    """`kernel` with `initrd`, loaded and booted on `machine` when the test asks for something of it."""
    options = _options(request, "rehearsal")
    given = options.pop("initrd", None)
    if given is not None:
        initrd = [Path(given)] if isinstance(given, str | Path) else [Path(each) for each in given]
    options.setdefault("cpus", _options(request, "machine").get("cpus"))
    return Rehearsal(kernel, initrd, machine, request.node, **options)


@pytest.fixture
def guest(request: pytest.FixtureRequest, kernel: Path, machine: Facts, tmp_path: Path) -> Guest:
    """Runs scripts on `kernel`, each in a boot of its own."""
    return Guest(kernel, machine, request.node, tmp_path, _options(request, "machine").get("cpus"))


def _options(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    marker = request.node.get_closest_marker(name)
    return dict(marker.kwargs) if marker else {}


def _kernel_file(name: str) -> Path:
    from warmboot import debian  # noqa: PLC0415 - it may fetch packages

    return debian.kernel(name) if name in debian.KERNELS else Path(name)
