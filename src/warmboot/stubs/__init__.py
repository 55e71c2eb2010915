"""Machine code of our own, position independent: building it from NAME.S, and reading the built bytes, NAME.bin.

Each stub lies beside its user, in the user's `arch/<uname -m>` folder; what several include lies here.
"""
