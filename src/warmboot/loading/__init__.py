"""`warmboot load`: loading into the kernel of this computer, stage by stage, and why it refused."""
