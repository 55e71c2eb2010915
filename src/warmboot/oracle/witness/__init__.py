"""The witness: what a loaded image finds when it is entered, compared with real Linux."""
