#!/usr/bin/env python3
"""A client of kv_server.py under load: it writes without a pause, notes every write that was acknowledged, and at the
end reads all of them back; the longest time without an answer is the downtime that clients saw.

    python3 examples/kv_load.py --port 7007 --seconds 30

It prints one JSON object; its exit status is 1 where an acknowledged write is lost.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

PATIENCE = 0.5  # seconds until a connection that does not answer is given up
PAUSE = 0.02  # seconds between attempts to connect


class Client:
    """A connection that is made again whenever it breaks."""

    def __init__(self, host, port):
        self.address, self.file, self.socket = (host, port), None, None

    def ask(self, line):
        """The answer, or None where there is none now."""
        try:
            if self.socket is None:
                self.socket = socket.create_connection(self.address, PATIENCE)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.file = self.socket.makefile("rb")
            self.socket.sendall(line + b"\n")
            answer = self.file.readline()
            if answer.endswith(b"\n"):
                return answer[:-1]
        except OSError:
            pass
        self.drop()
        time.sleep(PAUSE)
        return None

    def drop(self):
        if self.socket is not None:
            self.file.close()
            self.socket.close()
        self.socket = self.file = None


class Load:
    """Writes, one after the other, to `keys` keys; the value says which write it was."""

    def __init__(self, client, keys):
        self.client, self.keys = client, keys
        self.written = 0
        self.acknowledged, self.tried = {}, {}  # the number of the last write, by key
        self.repeated = set()  # numbers of writes that had no answer at first, and were sent again
        self.gaps = []  # (seconds, when it ended)
        self.last = 0.0

    def write(self):
        """One write; whether it was acknowledged."""
        key = self.written % self.keys
        self.tried[key] = self.written
        answer = self.client.ask(b"raise key%d %d" % (key, self.written))
        now = time.monotonic()
        if answer != b"ok":
            self.repeated.add(self.written)
            return False
        if self.last:
            self.gaps.append((now - self.last, now))
        self.last = now
        self.acknowledged[key] = self.written
        self.written += 1
        return True

    def longest_gap(self):
        return max((each for each, _ in self.gaps), default=0.0)

    def lost(self, deadline):
        """Keys whose acknowledged write is not there; a write without an acknowledgement may be there or not.

        Each is (key, number that was acknowledged, number that is there or -1, whether that one was sent again).
        """
        lost = []
        for key, number in self.acknowledged.items():
            answer = None
            while answer is None and time.monotonic() < deadline:
                answer = self.client.ask(b"get key%d" % key)
            found = int(answer[6:]) if answer is not None and answer.startswith(b"value ") else -1
            if not number <= found <= self.tried[key]:
                lost.append((key, number, found, found in self.repeated))
        return lost


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7007)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    load = Load(Client(args.host, args.port), args.keys)
    deadline = time.monotonic() + args.seconds
    while time.monotonic() < deadline:
        load.write()
    lost = load.lost(time.monotonic() + 60)
    print(
        json.dumps(
            {
                "acknowledged": load.written,
                "keys": len(load.acknowledged),
                "lost": lost,
                "longest_gap": round(load.longest_gap(), 3),
            }
        )
    )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
