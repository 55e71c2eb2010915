"""A rehearsed crash: the kernel that is loaded for it starts on the same memory, and saves what it finds there."""
