"""Sockets of a QEMU that runs: its monitor, and its serial ports."""

from __future__ import annotations

import socket
import time
from pathlib import Path

__all__ = ["connected", "until"]


def connected(path: Path) -> socket.socket:
    """A connection to a socket of QEMU; its file is there a moment before it listens."""
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            if not path.parent.exists():
                raise
            time.sleep(0.1)
        else:
            return connection


def until(connection: socket.socket, words: bytes) -> bytes:
    """What is heard up to these words, and with them. Raises ConnectionResetError."""
    heard = b""
    while words not in heard:
        more = connection.recv(1024)
        if not more:
            raise ConnectionResetError
        heard += more
    return heard
