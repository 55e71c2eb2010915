"""Command lines: thin, over everything else."""
