"""Progress of a dump that is being saved: how far, how fast, when it ends."""

from __future__ import annotations

import io
import re
import time

import pytest

from warmboot.report.text.dump import SaveProgress


class Watched(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Watched(), io.StringIO()])
def test_a_rate_and_an_end(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = SaveProgress(4096, stream)
    progress(1, 1 << 18, 100)
    assert stream.getvalue() == ""
    now[0] += 20
    progress(1 << 17, 1 << 18, 100 << 20)
    shown = stream.getvalue().strip("\r\n")
    assert re.match(r" 50% of 1 GiB, 100 MiB written, 25.6 MiB/s, ends at \d\d:\d\d:\d\d", shown)
    progress(1 << 17, 1 << 18, 100 << 20)  # not again at once
    assert stream.getvalue().strip("\r\n") == shown
    progress.clear()
    assert stream.getvalue().endswith("\x1b[K") is stream.isatty()
