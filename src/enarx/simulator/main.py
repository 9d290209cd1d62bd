"""The simulator's process: takes launches on descriptor 3, starts Keeps through a zygote, and signs their evidence.

`--state DIR` holds its keys, `--cache DIR` the digests of files. One packet is one message (docs/spec/host.md).
It runs until the host has closed the link *and* none of its Keeps is left, so a host daemon can be restarted.
"""

from __future__ import annotations

import _socket
import os
import sys

from enarx.image.contents import code_paths
from enarx.spawn import start_python

ORDERS = 3
ZYGOTE = (
    "import gc; gc.disable(); import sys; sys.path[:0] = sys.argv[1].split(':'); "
    "from enarx.keep.boot.process import main; main()"
)


def main() -> None:
    """Start the zygote, which takes longest, before importing the rest; then serve orders and reports."""
    search = tuple(sys.argv[1].split(":"))
    options = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    try:
        code = code_paths(search)
        started = start_zygote(code)
        from enarx.simulator.service import Service

        service = Service(started, code=code, search=search, state=options["--state"], cache=options["--cache"])
    except Exception as e:  # noqa: BLE001  # the host must get an answer, and nobody else can give it
        from enarx.simulator.orders import refuse_all

        refuse_all(ORDERS, e)
    else:
        service.serve()


def start_zygote(code: tuple[str, ...]) -> tuple[int, int]:
    """Start a zygote that imports from the directories `code`; return its pidfd and the simulator's end of its link.

    The zygote inherits the link and stderr, and an environment of its own.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
    try:
        pid = start_python(ZYGOTE, [":".join(code)], (theirs.fileno(),))
    finally:
        theirs.close()
    return os.pidfd_open(pid), ours.detach()  # not reaped yet, so the number still names it
