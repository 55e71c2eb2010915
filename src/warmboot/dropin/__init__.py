"""The `kexec` drop-in: kexec-tools' words, exit statuses and machine-read output, on warmboot's own parts.

Nothing here imports anything heavy before a kernel is loaded: dataclasses, enum, re and typing cost more than the whole
of `kexec --version` may.
"""
