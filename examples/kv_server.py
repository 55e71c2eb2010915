#!/usr/bin/env python3
"""A key-value server that lives through a switch to another kernel: its state is in a memfd, and no answer comes before
what it answers is there.

    python3 examples/kv_server.py --port 7007 --size 16M

Commands, a line each over TCP: `set KEY VALUE`, `raise KEY NUMBER`, `get KEY`, `count`; answers: `ok`, `value VALUE`,
`none`, `count N`. `raise` sets a number unless a greater one is there, so it may be sent again: one that a broken
connection delivers late undoes nothing that was written since.

The memory is a log: records of a length, a CRC, a key and a value, one behind the other in one of two halves; the
header says which half counts. A record counts once its CRC is right, so one that the jump cuts is as if it had never
been, and nobody was told otherwise. When a half is full, what is left of it goes to the other one, then the header
changes. The file has its whole size from the start: what is preserved cannot grow.
"""

from __future__ import annotations

import argparse
import mmap
import os
import select
import socket
import struct
import sys
import time
import zlib

from warmboot import liveupdate

MAGIC = b"warmkv 1"
HEADER = 4096  # bytes: MAGIC, which half counts, when a client was answered last
HALF_AT, ANSWERED_AT = 8, 16
RECORD = struct.Struct("<III")  # CRC of the rest, key's length, value's length
LONGEST = 1 << 16  # bytes of a line
DIGITS = 20  # of a number that is raised


class Store:
    """Keys and values in the file `fd`."""

    def __init__(self, fd):
        self.memory = mmap.mmap(fd, 0)
        self.half_size = (len(self.memory) - HEADER) // 2
        self.values = {}
        if self.memory[: len(MAGIC)] != MAGIC:
            self.memory[HALF_AT : HALF_AT + 8] = struct.pack("<Q", 0)
            self.memory[: len(MAGIC)] = MAGIC
        self.half = struct.unpack_from("<Q", self.memory, HALF_AT)[0] & 1
        self.end = self.read()

    @property
    def answered(self):
        """When a client was answered last: nanoseconds of CLOCK_REALTIME, 0 for never."""
        return struct.unpack_from("<Q", self.memory, ANSWERED_AT)[0]

    @answered.setter
    def answered(self, when):
        self.memory[ANSWERED_AT : ANSWERED_AT + 8] = struct.pack("<Q", when)

    def set(self, key, value):
        """Set it; when this comes back, it is there for the next kernel too."""
        if not self.append(key, value) and not self.compact({**self.values, key: value}):
            return False
        self.values[key] = value
        return True

    def start(self, half):
        return HEADER + half * self.half_size

    def read(self):
        """Everything that counts; where it ends."""
        place, last = self.start(self.half), self.start(self.half) + self.half_size
        while place + RECORD.size <= last:
            crc, key_size, value_size = RECORD.unpack_from(self.memory, place)
            end = place + RECORD.size + key_size + value_size
            if not key_size or end > last or crc != zlib.crc32(self.memory[place + 4 : end]):
                break
            key = self.memory[place + RECORD.size : place + RECORD.size + key_size]
            self.values[key] = self.memory[place + RECORD.size + key_size : end]
            place = end
        return place

    def append(self, key, value):
        """Write one record; its CRC last, as it is what makes it count."""
        end = self.end + RECORD.size + len(key) + len(value)
        if end + RECORD.size > self.start(self.half) + self.half_size:
            return False
        rest = RECORD.pack(0, len(key), len(value))[4:] + key + value
        self.memory[end : end + RECORD.size] = bytes(RECORD.size)  # what lay there before must not count
        self.memory[self.end + 4 : end] = rest
        self.memory[self.end : self.end + 4] = struct.pack("<I", zlib.crc32(rest))
        self.end = end
        return True

    def compact(self, values):
        """Write `values` to the other half, then let that one count; False where they do not fit."""
        half, end = self.half, self.end
        self.half = 1 - half
        self.end = self.start(self.half)
        if not all(self.append(key, value) for key, value in values.items()):
            self.half, self.end = half, end
            return False
        self.memory[HALF_AT : HALF_AT + 8] = struct.pack("<Q", self.half)
        return True


class Server:
    """One thread and one loop."""

    def __init__(self, store, port, on_first):
        self.store, self.on_first = store, on_first
        self.before = store.answered  # what the kernel before left
        self.listener = socket.create_server(("", port))
        self.poll = select.poll()
        self.poll.register(self.listener, select.POLLIN)
        self.clients = {}

    def serve(self):
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.listener.fileno():
                    client, _ = self.listener.accept()
                    self.clients[client.fileno()] = (client, bytearray())
                    self.poll.register(client, select.POLLIN)
                else:
                    self.read(fd)

    def read(self, fd):
        client, waiting = self.clients[fd]
        try:
            data = client.recv(LONGEST)
            waiting += data
            *lines, rest = bytes(waiting).split(b"\n")
            waiting[:] = rest
            if lines:
                client.sendall(b"".join(self.answer(line) for line in lines))
                self.note()
        except OSError:
            data = b""
        if not data or len(waiting) > LONGEST:
            self.poll.unregister(fd)
            del self.clients[fd]
            client.close()

    def note(self):
        """Remember when a client had an answer, for the report of the downtime."""
        now = time.time_ns()
        self.store.answered = now
        if self.before:
            self.on_first(self.before, now)
            self.before = 0

    def answer(self, line):
        match line.split(b" ", 2):
            case [b"set", key, value] if key:
                return b"ok\n" if self.store.set(key, value) else b"full\n"
            case [b"raise", key, value] if key and value.isdigit() and len(value) <= DIGITS:
                there = self.store.values.get(key, b"0")
                if there.isdigit() and len(there) <= DIGITS and int(there) > int(value):
                    return b"ok\n"
                return b"ok\n" if self.store.set(key, value) else b"full\n"
            case [b"get", key]:
                value = self.store.values.get(key)
                return b"none\n" if value is None else b"value " + value + b"\n"
            case [b"count"]:
                return b"count %d\n" % len(self.store.values)
        return b"what?\n"


def size_of(text):
    return int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]] if text[-1] in "KMG" else int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--name", default="kv", help="what the memory is called (default: kv)")
    parser.add_argument("--port", type=int, default=7007)
    parser.add_argument("--size", type=size_of, default=16 << 20, help="of the memory (default: 16M)")
    args = parser.parse_args()
    try:
        memory = liveupdate.retrieve(args.name)
        print("kv: took over what the kernel before handed on", flush=True)
    except liveupdate.ColdStartError as why:
        print(f"kv: cold start: {why}", flush=True)
        memory = os.memfd_create(args.name)
        os.ftruncate(memory, args.size)
    store = Store(memory)
    files = {args.name: memory}
    try:
        liveupdate.watch(files, lambda what: print(f"kv: told: {what}", flush=True))
    except liveupdate.LiveUpdateError as why:
        print(f"kv: nothing will live through a switch: {why}", flush=True)

    def first(before, after):
        try:
            liveupdate.answered(args.name, before, after)
        except liveupdate.LiveUpdateError as why:
            print(f"kv: {why}", file=sys.stderr)

    server = Server(store, args.port, first)
    print(f"kv: {len(store.values)} keys, port {args.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
