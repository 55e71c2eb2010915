"""Which basic blocks of a real kernel calls and jumps come to, and why they do not come to the others."""
