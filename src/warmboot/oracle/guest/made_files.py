"""Files that the agent makes for a call: of a kept content, as it is or with changes."""

# ruff: noqa: PTH123
# pathlib would cost each guest a second under emulation.

from __future__ import annotations

import os


def content(text: str) -> bytes:
    """Bytes in hexadecimal, or a kept content's."""
    if text.startswith("@"):
        with open("/contents/" + text[1:], "rb") as file:
            return file.read()
    return bytes.fromhex(text)


def made_file(at: str, sha256: str, size: str, patches: str, made: list[str]) -> str:
    """The path of a file with that content: the kept one itself where nothing is to be changed."""
    if at == "content" and size == patches == "-":
        return "/contents/" + sha256
    path = f"/file-{os.getpid()}-{len(made)}"
    made.append(path)
    data = bytearray(content("@" + sha256)) if at == "content" else bytearray()
    wanted = len(data) if size == "-" else int(size)
    del data[wanted:]
    for each in patches.split(",") if patches != "-" else ():
        offset, _, change = each.partition("=")
        start = int(offset)
        piece = bytes.fromhex(change)[: max(0, len(data) - start)]
        data[start : start + len(piece)] = piece
    with open(path, "wb") as file:
        file.write(data)
        file.truncate(wanted)
    return path
