"""Man pages, completion of shells and the reference's pages, made from what `--help` is made of.

`tools/manual` writes them to share/, from where the wheel installs them.
"""
