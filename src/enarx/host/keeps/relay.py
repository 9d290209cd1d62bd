"""Bytes between a client of the daemon and a supervisor, as they come, with back-pressure both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from enarx.host.errors import HostError
from enarx.host.keeps.contact import Contact

ANSWER = 5.0
"""Seconds for a supervisor to answer a question; one that takes longer is stopped, say, and not waited for."""


async def ask(path: str, op: str) -> dict[str, Any]:
    """The answer of the supervisor whose socket is at `path`. HostError."""
    contact = Contact(path)
    try:
        return await contact.ask(op, patience=ANSWER)
    finally:
        contact.close()


async def is_there(path: str) -> bool:
    """Is there a supervisor, whether it answers or not? True also where that cannot be told."""
    try:
        await ask(path, "info")
    except HostError as e:
        return e.code != "gone"
    return True


async def give(path: str, body: AsyncIterator[bytes]) -> int:
    """Give frames to the supervisor whose socket is at `path`; how many it took. HostError, also while they still come."""
    contact = Contact(path)
    tasks: list[asyncio.Task[Any]] = []
    try:
        await contact.ask("input")
        answer = asyncio.create_task(contact.answer())
        sending = asyncio.create_task(_send_all(contact, body))
        tasks += [answer, sending]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            sending.result()  # else the client has gone
        return int((await answer)["frames"])
    finally:
        await cancel(*tasks)
        contact.close()


async def take(path: str, start: int, *, follow: bool) -> tuple[int, AsyncIterator[bytes]]:
    """The number of the first frame that the supervisor has, and the entries from `start` on. HostError."""
    contact = Contact(path)
    try:
        answer = await contact.ask("output", **{"from": start, "follow": follow})
    except BaseException:
        contact.close()
        raise
    return int(answer["first"]), _pieces(contact)


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel them, and wait until they are done with it."""
    found = [task for task in tasks if task is not None]
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)


async def _send_all(contact: Contact, body: AsyncIterator[bytes]) -> None:
    try:
        async for piece in body:
            await contact.send(piece)
        contact.finish()
    except OSError:
        return  # it takes no more, and says why


async def _pieces(contact: Contact) -> AsyncIterator[bytes]:
    try:
        while piece := await contact.receive():
            yield piece
    finally:
        contact.close()
