"""What --help and -v print."""

from __future__ import annotations

import sys

from warmboot import __version__

__all__ = ["USAGE", "print_usage", "print_version"]

# The release whose behaviour this is, as scripts read it; then the program that answers.
_VERSION = f"makedumpfile: version 1.7.8 (warmboot {__version__})\nlzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n\n"

USAGE = """
LZO support:
  enabled
snappy support:
  enabled
zstd support:
  enabled

Usage:
  makedumpfile [-c|-l|-p|-z|-E] [-d LEVEL] [OPTION]... VMCORE DUMPFILE
  makedumpfile -F [-c|-l|-p|-z|-E] [-d LEVEL] VMCORE
  makedumpfile -R DUMPFILE
  makedumpfile --split [OPTION]... VMCORE DUMPFILE1 DUMPFILE2...
  makedumpfile --reassemble DUMPFILE1 DUMPFILE2... DUMPFILE
  makedumpfile --dump-dmesg VMCORE LOGFILE
  makedumpfile --mem-usage /proc/kcore

Save the memory of a crashed kernel, without what nobody needs of it.

  -c, -l, -p, -z       compress by zlib, LZO, snappy, zstd
  -d LEVEL             leave out 1 zeros, 2 cache, 4 private cache, 8 user memory,
                       16 free pages, or a sum of them; of a list such as 1,31 the
                       next one is tried where the disk is full
  -E                   write ELF
  -F                   write to standard output, flattened
  -R                   put together what is flattened on standard input
  -f                   replace DUMPFILE
  -D                   tell more
  -x VMLINUX, -i FILE  not needed
      --split          write several files, for several disks
      --reassemble     make one of them
      --num-threads N  compress in N threads (default: as many as processors)
      --dump-dmesg     write the kernel's log only
      --mem-usage      tell what a dump of this computer would leave out
      --show-stats     tell what became of every page
      --dry-run        write nothing
      --check-params   see whether the options are right
      --message-level N
                       print 1 progress, 2 messages, 4 errors, 8 more, 16 numbers
  -h, --help           print this
  -v                   print the version
"""


def print_usage() -> None:
    """--help."""
    sys.stdout.write(USAGE)


def print_version() -> None:
    """-v."""
    sys.stdout.write(_VERSION)
