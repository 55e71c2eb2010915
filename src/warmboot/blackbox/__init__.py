"""The black box: where a kexec leaves marks of how far it came, and what the next boot reads there."""
