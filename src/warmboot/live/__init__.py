"""This computer: what its /proc and /sys tell, and its system calls for kexec."""
