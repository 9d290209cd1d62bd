"""The simulator: a process that plays the TEE. It holds the root key, measures the Keeps that it starts, and signs.

It takes the place of a chip and its firmware. It belongs to the owner of the machine, so it protects no workload from them.
"""
