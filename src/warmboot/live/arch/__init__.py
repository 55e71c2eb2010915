"""What depends on the architecture, one folder each, named as `uname -m` does."""
