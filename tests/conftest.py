"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("warmboot", deadline=None)  # a test that is timed fails where the computer is busy
settings.load_profile("warmboot")
