"""warmboot: kexec in Python."""
