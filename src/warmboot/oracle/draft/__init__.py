"""A profile drafted for a kernel that nobody has compared: which rule is which, asked of the kernel itself."""
