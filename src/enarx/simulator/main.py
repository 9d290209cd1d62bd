"""The simulated-hardware process: takes launches on descriptor 3, starts Keeps through a zygote, signs their evidence.

`--state DIR` holds its keys, `--cache DIR` digests of files. One packet is one message (docs/spec/host.md, "Hardware").
It lives until its orders end *and* no Keep that it launched is left, so a host daemon can go and come back.
"""

from __future__ import annotations

import _socket
import os
import sys

from enarx.image.contents import code_paths

ORDERS = 3
ZYGOTE_LINK = 3
ZYGOTE = (
    "import gc; gc.disable(); import sys; sys.path[:0] = sys.argv[1].split(':'); "
    "from enarx.keep.boot.process import main; main()"
)


def main() -> None:
    """Start the zygote, which takes longest, before anything more is loaded; then serve until nothing is left to."""
    search = tuple(sys.argv[1].split(":"))
    options = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    try:
        code = code_paths(search)
        started = start_zygote(code)
        from enarx.simulator.service import Service

        service = Service(started, code=code, search=search, state=options["--state"], cache=options["--cache"])
    except Exception as e:  # noqa: BLE001  # whatever it is, the host is told: there is nobody else to tell
        from enarx.simulator.orders import refuse_all

        refuse_all(ORDERS, e)
    else:
        service.serve()


def start_zygote(code: tuple[str, ...]) -> tuple[int, int]:
    """The pidfd of a new zygote, which loads its code from the directories `code`, and our end of the link to it.

    It inherits the link and stderr, and from the environment nothing.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
    target = os.dup(theirs.fileno())  # never the descriptor that it is to become
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1)]
    actions += [(os.POSIX_SPAWN_DUP2, target, ZYGOTE_LINK)]
    arguments = [sys.executable, "-I", "-S", "-c", ZYGOTE, ":".join(code)]
    try:
        pid = os.posix_spawn(sys.executable, arguments, {"LANG": "C.UTF-8"}, file_actions=actions)
    finally:
        os.close(target)
        theirs.close()
    return os.pidfd_open(pid), ours.detach()  # nobody has waited for it, so the number is its own
