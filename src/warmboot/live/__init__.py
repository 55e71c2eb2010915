"""This computer: what its /proc and /sys tell."""
