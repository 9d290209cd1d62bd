"""Bytes to frozen values and back, pure: no I/O, no clock, no randomness, no trust."""
