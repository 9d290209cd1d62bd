"""A client for vendors' web services: limits, retries, no redirects."""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, wait
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from enarx.errors import UnavailableError, UsageError
from enarx.record import record

MAX_BODY = 4 << 20
ATTEMPTS = 5
BUSY = 10.0
"""Seconds to wait after a 429 without Retry-After. AMD answers requests for the same VCEK about once in this time."""
MAX_WAIT = 120.0
SILENCE = 20.0
WHOLE = 60.0
"""Seconds that an answer may pause, and that a whole exchange may take, from name resolution to the last byte."""

_ADDRESS = re.compile(r"[!-~]+")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@record()
class Answer:
    """An answer. Header names are case-insensitive."""

    body: bytes
    headers: Message


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: another address may be another party."""

    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> None:
        """Do nothing, so that the redirect surfaces as an error."""

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Web:
    """A service at the address `base`: https, or http on this machine. `say` gets a line for each retry."""

    def __init__(
        self, base: str, *, sleep: Callable[[float], None] = time.sleep, say: Callable[[str], None] = lambda line: None
    ) -> None:
        scheme, host = _place(base)
        if scheme == "http" and host not in LOOPBACK:
            raise UsageError(
                "endorsement-url", f"{base[:80]!a}: http is allowed on this machine only", hint="https://..."
            )
        self.base = base.rstrip("/")
        self._sleep = sleep
        self._say = say
        self._opener = urllib.request.build_opener(_Stay())

    def get(self, path: str) -> Answer:
        """Fetch a path below the base. UnavailableError if all attempts fail."""
        url = self.base + path
        problem = ""
        for attempt in range(ATTEMPTS):
            try:
                return _within(WHOLE, lambda: self._once(url))
            except urllib.error.HTTPError as e:
                with e:
                    problem, wait = f"answered {e.code}", _patience(e, attempt)
            except (OSError, ValueError, http.client.HTTPException, _CutError) as e:
                problem, wait = str(getattr(e, "reason", "") or e or type(e).__name__)[:120], float(1 << attempt)
            if attempt < ATTEMPTS - 1:
                wait *= 1 + random.random() / 10  # noqa: S311  # spreads the retries of many clients
                self._say(f"{url}: {problem}; again in {wait:.0f} s")
                self._sleep(wait)
        raise UnavailableError("endorsement-fetch", f"{url}: {problem}, {ATTEMPTS} times", hint="try again later")

    def _once(self, url: str) -> Answer:
        pieces: list[bytes] = []
        size = 0
        with self._opener.open(urllib.request.Request(url), timeout=SILENCE) as answer:  # noqa: S310  # _Web's base
            while piece := answer.read1(64 << 10):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_BODY:
                    raise UnavailableError("endorsement-size", f"{url}: over {MAX_BODY} bytes")
            stated = answer.headers.get("Content-Length")
            if stated is not None and stated != str(size):
                raise _CutError(f"{size} bytes of {stated[:20]}")
            return Answer(body=b"".join(pieces), headers=answer.headers)


class _CutError(Exception):
    """A truncated answer, or one that took too long."""


def _place(base: str) -> tuple[str, str]:
    """The scheme and host of an address. UsageError if it is malformed."""
    try:
        place = urlsplit(base)
        scheme, host, _ = place.scheme, place.hostname or "", place.port
        host.encode("idna")  # refuses names that cannot be resolved
    except ValueError:
        scheme, host = "", ""
    if scheme not in ("https", "http") or not host or not _ADDRESS.fullmatch(base):
        raise UsageError("endorsement-url", f"{base[:80]!a} is not an address", hint="https://host/path")
    return scheme, host


def _within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """Return or raise what `ask` does; _CutError if it takes longer than `seconds`.

    Nothing else limits a peer that keeps sending headers or trailers. The thread that reads from it is abandoned.
    """
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as e:  # noqa: BLE001  # raised again below, in the waiting thread
            answer.set_exception(e)

    threading.Thread(target=run, daemon=True).start()
    if wait((answer,), seconds).not_done:
        raise _CutError(f"incomplete after {seconds:.0f} s")
    return answer.result()


def _patience(e: urllib.error.HTTPError, attempt: int) -> float:
    """Seconds to wait before the next attempt. UnavailableError if another attempt is pointless."""
    if e.code == 404:
        raise UnavailableError("endorsement-unknown", f"{e.url}: the vendor has none") from e
    if 300 <= e.code < 400:
        where = str(e.headers.get("Location"))[:80]
        raise UnavailableError(
            "endorsement-redirect", f"{e.url}: redirects to {where}", hint="give the address that answers itself"
        ) from e
    if e.code == 429:
        stated = str(e.headers.get("Retry-After", ""))
        return min(float(stated), MAX_WAIT) if stated.isascii() and stated.isdigit() else BUSY
    if e.code >= 500:
        return float(1 << attempt)
    raise UnavailableError("endorsement-refused", f"{e.url}: answered {e.code}") from e
