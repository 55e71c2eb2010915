"""File formats described once: structures and constants, without a meaning for kexec."""
