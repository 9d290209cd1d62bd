"""What hardware measures of a launch, computed from what is launched: bytes and values in, digests out. One module for each kind.

docs/measurement.md says what each value rests on. Layouts are read by `enarx.formats.launch`.
"""
