"""Launch measurements of real hardware, computed from files: bytes and values in, digests out. One module for each kind.

docs/measurement.md lists how far each value was checked. `enarx.formats.launch` parses the files.
"""
