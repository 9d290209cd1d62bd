"""Simulated hardware: a process that plays the TEE. It holds the root, measures what it starts, and signs.

It stands where a chip and its firmware would. Whoever owns the machine owns it: nothing here protects a workload.
"""
