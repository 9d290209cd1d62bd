"""Stands before the real package on the path of the processes under test: only `enarx.simulator` is another one."""

import sys

__path__ += [f"{p}/enarx" for p in sys.path if f"{p}/enarx" not in __path__]
