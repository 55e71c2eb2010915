"""Machines: physical memory with a running kernel, and what executes an image that was loaded into it."""
