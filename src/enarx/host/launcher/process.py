"""The launcher: a small process beside the daemon that launches Keeps and forks their supervisors.

It has one thread and loads little, so a hundred supervisors forked from it share nearly all of their memory. On descriptor 3
it gets an order and sends an answer for each launch, as JSON packets.

It ends with the daemon; supervisors and Keeps go on, as children of init.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys

from enarx.errors import EnarxError
from enarx.host import backends, cgroups, events
from enarx.host.backends.backend import Site
from enarx.host.faults import refusal
from enarx.host.launcher.launch import Launched, launch
from enarx.host.processes import close_others
from enarx.host.state.files import SOCKET, open_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, NoReturn

LINK = 3
MAX_MESSAGE = 64 << 10
BACKLOG = 64
DIED = {"ok": False, "code": "launch", "message": "the supervisor ended as it started", "hint": "try again later"}


def main() -> None:
    """Serve launches until the daemon is gone."""
    paths, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    os.chdir("/")
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = _watch_children()
    link = socket.socket(fileno=LINK)
    place = cgroups.find(cgroups.scope(options["--backends"]), (os.getpid(), os.getppid()))
    place.clear()
    events.log("bounded", by=place.by, detail=place.detail, remedy=place.remedy)
    site = Site(paths=paths, state=options["--backends"], cache=options["--cache"])
    for kind in backends.kinds():
        backends.find(kind).prepare(site)
    gc.collect()
    gc.freeze()
    while order := _next_order(link, ended):
        _send(link, _launch(json.loads(order), place, site))
    place.clear()


def _watch_children() -> int:
    """A descriptor that is readable once a child has ended.

    Children are reaped only between launches, so that no pid can be reused during a launch.
    Because of the handler, processes that are started here do not inherit an ignored SIGCHLD.
    """
    ended, wake = os.pipe()
    for fd in (ended, wake):
        os.set_blocking(fd, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    return ended


def _reap() -> None:
    """Reap every child that has ended: supervisors, and whatever backends have started."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def _next_order(link: socket.socket, ended: int) -> bytes:
    """Wait for the next order, and reap children meanwhile; empty once the daemon is gone."""
    poll = select.poll()
    for fd in (link.fileno(), ended):
        poll.register(fd, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if ended in ready:
            os.read(ended, 4096)
            _reap()
        if link.fileno() in ready:
            try:
                return link.recv(MAX_MESSAGE)
            except ConnectionError:
                return b""  # the daemon ended before it had read an answer


def _send(link: socket.socket, answer: dict[str, Any]) -> None:
    try:
        link.send(json.dumps(answer).encode())
    except ConnectionError:
        return  # the next daemon finds what was launched


def _launch(order: dict[str, Any], place: cgroups.Place, site: Site) -> dict[str, Any]:
    """Launch and supervise one Keep; the answer to the daemon."""
    try:
        place.clear()  # no launch is under way, so an empty cgroup was left by a Keep whose supervisor was killed
        launched = launch(order, name=os.path.basename(order["directory"]), place=place, site=site)
        answer: dict[str, Any] = {"ok": False}
        try:
            answer = _supervise(launched, order)
        finally:
            if answer["ok"]:
                launched.release()
            else:
                launched.abandon()
    except (OSError, EnarxError) as e:
        return refusal(e)
    return answer


def _supervise(launched: Launched, order: dict[str, Any]) -> dict[str, Any]:
    """Fork a supervisor, wait until it has taken over, and return its answer. Never returns in the child."""
    directory = open_directory(order["directory"])
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")  # the real path may be too long for a socket
            listener.listen(BACKLOG)
            ready, tell = os.pipe()
            with open(ready, "rb") as answers, open(tell, "wb") as answers_out:
                if os.fork() == 0:
                    _be_supervisor(launched, order, answers_out, listener, directory)
                answers_out.close()
                answer = answers.read()
    finally:
        os.close(directory)
    return dict(json.loads(answer)) if answer else DIED


def _be_supervisor(
    launched: Launched, order: dict[str, Any], answers_out: BinaryIO, listener: socket.socket, directory: int
) -> NoReturn:
    """Supervise one Keep to its end, then exit. The launcher learns whether the Keep started."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        close_others((*launched.descriptors(), answers_out.fileno(), listener.fileno(), directory))
        os.setsid()
        gc.disable()
        supervisor = launched.supervisor(
            listener=listener, directory=directory, stored_output=order["stored_output"], unused=order["unused"]
        )
        if _tell(answers_out, {"ok": True, "processes": supervisor.processes}):
            supervisor.serve()
    except OSError as e:
        if answers_out.closed:
            events.log("supervisor-died", level="error", message=str(e))
        else:
            _tell(answers_out, refusal(e))
    except Exception as e:  # noqa: BLE001  # any fault is logged once and ends this Keep alone
        events.log("supervisor-died", level="error", message=f"{type(e).__name__}: {e}")
    finally:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending already
            launched.group.remove()
        finally:
            os._exit(0)  # whatever happens, the child must not return into the launcher's loop


def _tell(answers_out: BinaryIO, answer: dict[str, Any]) -> bool:
    """Send the launcher the answer. False if it is gone: then no process knows this Keep, which ends with its supervisor."""
    try:
        answers_out.write(json.dumps(answer).encode())
        answers_out.close()
    except BrokenPipeError:
        return False
    return True
