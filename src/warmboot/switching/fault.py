"""Fault points: a test has this process killed at a step by WARMBOOT_FAULT=STEP, as nothing can be tidied up then."""

from __future__ import annotations

import os
import signal

__all__ = ["fault_point"]


def fault_point(step: str) -> None:
    """Die here by SIGKILL if the environment's WARMBOOT_FAULT names this step."""
    if os.environ.get("WARMBOOT_FAULT") == step:
        os.kill(os.getpid(), signal.SIGKILL)
