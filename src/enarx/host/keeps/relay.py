"""Relays bytes between clients of the daemon and supervisors as they arrive, with back-pressure both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from enarx.host.errors import HostError
from enarx.host.keeps.contact import Contact

ANSWER = 5.0
"""Seconds for a supervisor to answer. A supervisor that takes longer may be stopped, and is not waited for."""


async def ask(path: str, op: str) -> dict[str, Any]:
    """The answer of the supervisor whose socket is at `path` to a request. HostError."""
    contact = Contact(path)
    try:
        return await contact.ask(op, patience=ANSWER)
    finally:
        contact.close()


async def is_there(path: str) -> bool:
    """Whether a supervisor listens at `path`, even if it does not answer. True also if that cannot be determined."""
    try:
        await ask(path, "info")
    except HostError as e:
        return e.code != "gone"
    return True


async def send_input(path: str, body: AsyncIterator[bytes], *, invited: bool = False) -> int:
    """Send frames to the supervisor whose socket is at `path`; returns how many it took. HostError, perhaps before the last."""
    contact = Contact(path)
    tasks: list[asyncio.Task[Any]] = []
    try:
        await contact.ask("input", invited=invited)
        answer = asyncio.create_task(contact.answer())
        sending = asyncio.create_task(_send_all(contact, body))
        tasks += [answer, sending]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            sending.result()  # raises if the client is gone
        return int((await answer)["frames"])
    finally:
        await cancel(*tasks)
        contact.close()


async def open_output(
    path: str, start: int, *, follow: bool, invited: bool = False
) -> tuple[int, AsyncIterator[bytes]]:
    """The number of the supervisor's first stored frame, and an iterator over the entries from frame `start` on. HostError."""
    contact = Contact(path)
    try:
        answer = await contact.ask("output", **{"from": start, "follow": follow, "invited": invited})
    except BaseException:
        contact.close()
        raise
    return int(answer["first"]), _pieces(contact)


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks, and wait until they have ended."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _send_all(contact: Contact, body: AsyncIterator[bytes]) -> None:
    try:
        async for piece in body:
            await contact.send(piece)
        contact.finish()
    except OSError:
        return  # the supervisor has closed its end, and its answer gives the reason


async def _pieces(contact: Contact) -> AsyncIterator[bytes]:
    try:
        while piece := await contact.receive():
            yield piece
    finally:
        contact.close()
