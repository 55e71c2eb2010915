"""The `makedumpfile` drop-in: its words, exit statuses and machine-read lines, on the filter and writers of `dump`.

kdump-tools, kdump-utils and dracut call it so in a capture kernel.
"""
