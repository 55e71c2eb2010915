"""What Xen says of its own end: its panics (xen/drivers/char/console.c), and domain 0 gone (xen/common/domain.c)."""

from __future__ import annotations

import re

__all__ = ["XenPanic"]

_LINE = re.compile(r"\(XEN\) (?:\[[^\]]*\] )?(?P<text>.*\S)")  # with the time, where Xen is asked for it
_PANIC = re.compile(r"Panic on CPU \d+:$")
_DOMAIN_0 = re.compile(r"(?:Hardware Dom0|Domain 0) (?:crashed|halted): ")
_FRAME = "****"

# Hints by what the reason says, and where the words before the panic say more than the reason does.
_HINTS = (
    (r"dom0 kernel not specified", "give domain 0's kernel, with its command line, as the first --module"),
    (
        r"construct domain 0|DOM0",
        "give as the first --module a kernel that can be Xen's domain 0: one of Linux has CONFIG_XEN_DOM0",
    ),
    (r"(?:RAM|memory)\b", "give the machine more memory by --memory, or domain 0 less by dom0_mem= in --append"),
    (r"(?:crashed|halted): ", "see what domain 0's kernel says: add console=hvc0 to its words in --module"),
    (r"", "look at the whole console by --console FILE"),
)
_SAID_BEFORE = re.compile(r"construct domain 0")


class XenPanic:
    """Reads a console line by line. `said` is what Xen gave as the reason, empty until it did."""

    def __init__(self) -> None:
        self._is_next = False  # whether the reason comes next
        self._last = ""  # what Xen said last, before the panic
        self.said: str = ""

    def look_at(self, line: str) -> bool:
        """One line, without colours; whether Xen's end is known now."""
        match = _LINE.match(line)
        if match is None or self.said:
            return bool(self.said)
        text = match["text"]
        if self._is_next:
            before = f" ({self._last})" if self._last and _SAID_BEFORE.search(text) else ""
            self.said = f"Xen panicked: {text}{before}"
        elif _DOMAIN_0.match(text):
            self.said = f"Xen: {text}"
        elif _PANIC.match(text):
            self._is_next = True
        elif not text.startswith(_FRAME):
            self._last = text
        return bool(self.said)

    @property
    def hint(self) -> str:
        """What helps."""
        return next(hint for pattern, hint in _HINTS if re.search(pattern, self.said))
