"""Join a Keep as a further owner of data, and contribute a part (docs/spec/contributions.md).

`Exchange.join` is enough to see the manifest that the evidence proves. `Exchange.contribute` seals a part and returns once
the Keep has confirmed it under its signature. Both survive broken connections: the Keep confirms chunks, and skips those
that it has. A host that drops frames can end an exchange, but cannot make it wait forever.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping

from enarx.delivery.content import sealed_size
from enarx.delivery.contribution import PART_BUFFER, Contributor, Part, confirmed_part
from enarx.errors import DeliveryError, ParseError, UnavailableError, UsageError
from enarx.formats.config import Dir
from enarx.formats.package import MAX_ENTRIES, MAX_INDEX, SALT_SIZE, Manifest, encode_index, is_variable
from enarx.formats.sharing import Provider
from enarx.formats.wire import FrameType
from enarx.record import record
from enarx.tenant.delivering import (
    FINAL_CODES,
    FIRST_PAUSE,
    LEAVE,
    LONGEST_PAUSE,
    PATIENCE,
    SILENT,
    TRIES,
    Broken,
    FrameReader,
    Progress,
    ReceivedEvidence,
    Verifier,
    is_over,
    refused,
    sealed_chunks,
)
from enarx.tenant.link import Link
from enarx.tenant.package import chunks_of, read_tree
from enarx.tenant.tree import Tree

EARLY = 64
"""Confirmations from before the invitation that are kept, the newest: an honest Keep sends one for each provider."""

REPEAT = 2.0
"""Seconds after which the Join is sent again: a Keep skips it while it makes evidence for another one in the same name."""

PAGE = 4096
AGAIN = "run the same command again: a part that was not accepted can be sent anew"
HINTS = {
    "not-a-provider": "is it the key that the coordinator has? enarx data show prints the keys of all providers",
    "other-package": "ask the coordinator for a new invitation: this one is for another package",
    "disk-limit": "send less, or ask the coordinator for a larger disk under [limits]",
    "contributed-already": "a part that was accepted cannot be replaced in this run",
    "begun-again": "another program with the same key has begun since",
}
"""What to do about the codes with which a Keep declines a part."""


@record(hidden=("part", "trees"))
class Provision:
    """What a provider contributes: the start of its part, and the directories on this machine that follow."""

    part: Part
    trees: tuple[Tree, ...]

    @property
    def size(self) -> int:
        """Bytes of plaintext that are sealed."""
        return sealed_size(self.part.head, 0, list(self.part.indexes), [list(each.nodes) for each in self.trees])

    @property
    def files(self) -> int:
        """The number of files in the directories."""
        return sum(node.kind == "f" for each in self.trees for node in each.nodes)

    def chunks(self) -> Iterator[tuple[memoryview, bool]]:
        """The plaintext in chunks of CHUNK bytes, with True for the last. A chunk is valid until the next is requested."""
        return chunks_of((self.part.prefix,), self.trees, self.size)


def provision(
    manifest: Manifest, provider: Provider, *, dirs: Mapping[str, str], secrets: Mapping[str, bytes]
) -> Provision:
    """The part of this provider: `dirs` are directories of this machine by guest path. UsageError.

    Exactly what the manifest assigns to the provider must be given, and it must fit the limits that the manifest sets.
    """
    _require_exactly(provider, "dir", provider.dirs, dirs)
    _require_exactly(provider, "secret", provider.secrets, secrets)
    for secret in manifest.config.secrets:
        if secret.name in secrets and secret.env is not None and not is_variable(secrets[secret.name]):
            message = f"secret {secret.name} cannot be the variable {secret.env}: wanted UTF-8 without NUL"
            raise UsageError("secret-variable", message, hint="encode it, if the workload can decode it")
    trees = tuple(read_tree(Dir(guest=guest, host=os.path.abspath(dirs[guest])), ".") for guest in provider.dirs)
    indexes = tuple(encode_index(list(each.nodes)) for each in trees)
    _require_room(manifest, indexes, trees)
    try:
        part = Part.make(salt=os.urandom(SALT_SIZE), secrets=dict(secrets), indexes=indexes)
    except ParseError as e:
        raise UsageError(e.code, e.message, hint="a secret is a key or a password; send more as a directory") from e
    return Provision(part=part, trees=trees)


def _require_exactly(provider: Provider, option: str, wanted: tuple[str, ...], given: Mapping[str, object]) -> None:
    """UsageError unless the names given are the names wanted."""
    hints = {"dir": "--dir HOST::{}", "secret": "--secret {}=@FILE"}
    for name in wanted:
        if name not in given:
            message = f"{provider.name} provides the {option} {name}, and none was given"
            raise UsageError(f"part-{option}", message, hint=hints[option].format(name))
    for name in given:
        if name not in wanted:
            own = f"{provider.name} provides {', '.join(wanted)}" if wanted else f"{provider.name} provides no {option}"
            raise UsageError(
                f"part-{option}", f"{name} is not this provider's: {own}", hint="enarx data show INVITATION"
            )


def _require_room(manifest: Manifest, indexes: tuple[bytes, ...], trees: tuple[Tree, ...]) -> None:
    """UsageError if the part is larger than a Keep of this manifest accepts from one provider."""
    shares, limit = len(manifest.providers), manifest.config.limits.disk
    size, entries = sum(map(len, indexes)), sum(len(each.nodes) for each in trees)
    if size > MAX_INDEX // shares or entries > MAX_ENTRIES // shares:
        message = f"the directories have {entries} entries, wanted at most {MAX_ENTRIES // shares} of each provider"
        raise UsageError("dir-size", message, hint="send less, or archives")
    pages = sum(-(-node.size // PAGE) * PAGE for each in trees for node in each.nodes)
    if pages > limit:
        message = f"the part needs {pages} bytes in whole pages, and the workload may have {limit} in all (limits.disk)"
        raise UsageError("part-size", message, hint=HINTS["disk-limit"])


class Exchange:
    """One exchange with a Keep through its host, over as many connections as necessary.

    `parts` are the digests of the parts that the Keep has confirmed, by provider's key.
    """

    def __init__(self, link: Link, side: Contributor, *, patience: float = PATIENCE) -> None:
        self._link, self._side, self._patience = link, side, patience
        self._lock = threading.Lock()  # the side is used by two threads
        self._broken = 0
        self._frames: FrameReader | None = None
        self._sender: threading.Thread | None = None
        self.parts: dict[bytes, bytes] = {}

    def join(self, verifier: Verifier) -> None:
        """Ask the Keep for its invitation, and have `verifier` verify the evidence in it.

        Raises what `verifier` raises; DeliveryError if the Keep declines or the host forges; UnavailableError.
        """
        join = self._side.join()
        self._send_now(join)
        self._frames = FrameReader(self._link, 0, FrameType.REFUSAL)
        deadline = time.monotonic() + self._patience
        early: deque[bytes] = deque(maxlen=EARLY)
        while True:
            frame = self._take(deadline, "the Keep sent no invitation", pause=REPEAT)
            if frame is None:
                self._send_now(join)
                continue
            kind, payload = frame
            if kind is FrameType.CONTRIBUTED:
                early.append(payload)
            elif kind is FrameType.INVITATION and (answer := self._side.invitation(payload)) is not None:
                break
        invitation, report_data = answer
        verifier(
            ReceivedEvidence(
                kind=invitation.kind,
                evidence=invitation.evidence,
                endorsements=invitation.endorsements,
                report_data=report_data,
            )
        )
        self._identity, self._package = invitation.identity, self._side.manifest.digest
        for payload in early:
            self._note(payload)

    def contribute(self, provision: Provision, progress: Progress | None = None) -> bytes:
        """Seal and send the part; returns its digest once the Keep has confirmed it.

        Call it after `join`. DeliveryError if the Keep declines the part; UnavailableError if the Keep is gone, or silent.
        """
        key = self._side.provider.key
        self._provision, self._progress = provision, progress
        self._send(self._side.contribution(entropy=os.urandom(64), part=provision.part))
        deadline = time.monotonic() + self._patience
        while True:
            frame = self._take(deadline, self._stalled)
            assert frame is not None  # without a pause there is a frame or an error
            kind, payload = frame
            if kind is FrameType.CONTRIBUTED:
                self._note(payload)
                if key in self.parts:
                    return self._finish(payload)
            elif kind is FrameType.PART_RECEIVED:
                with self._lock:
                    moved = self._side.received(payload)
                if moved:
                    self._broken, deadline = 0, time.monotonic() + self._patience

    def close(self) -> None:
        """Stop reading. The link is the caller's."""
        if self._frames is not None:
            self._frames.close()

    def _note(self, payload: bytes) -> None:
        """Take a confirmation; DeliveryError if this Keep did not sign it."""
        self.parts |= confirmed_part(
            payload, session=self._side.session, package=self._package, identity=self._identity
        )

    def _finish(self, payload: bytes) -> bytes:
        with self._lock:
            digest = self._side.contributed(payload)
        assert digest is not None  # `_note` has found this provider's confirmation in it
        if self._frames is not None:
            self._frames.over = True
        if self._sender is not None:
            self._sender.join(min(self._patience, LEAVE))
        return digest

    @property
    def _stalled(self) -> str:
        return f"the Keep has confirmed {self._side.confirmed} chunks of the part, and not accepted it"

    def _take(self, deadline: float, missing: str, *, pause: float | None = None) -> tuple[FrameType, bytes] | None:
        """The next frame of the Keep that this exchange uses; `missing` says what did not come by the deadline.

        None if no such frame comes within `pause` seconds, before the deadline.
        """
        assert self._frames is not None
        end = deadline if pause is None else min(deadline, time.monotonic() + pause)
        while True:
            event = self._frames.take(end)
            if event is None:
                if end < deadline:
                    return None
                raise UnavailableError("keep-silent", f"{missing} within {self._patience:g} s", hint=SILENT)
            if isinstance(event, Broken):
                self._reconnect(event)
                continue
            _, kind, payload = event
            if kind is FrameType.REFUSAL:
                raise refused(payload)
            if kind is FrameType.DECLINED:
                self._require_not_declined(payload)
            elif kind in (FrameType.INVITATION, FrameType.CONTRIBUTED, FrameType.PART_RECEIVED):
                return kind, payload

    def _require_not_declined(self, payload: bytes) -> None:
        """DeliveryError if the Keep has declined this attempt. The host could have written it: it ends nothing else."""
        code = self._side.declined(payload)
        if code is not None:
            message = f"the Keep (or the host in its name) declined: {code}"
            raise DeliveryError(code, message, state="declined", hint=HINTS.get(code, AGAIN))

    def _reconnect(self, event: Broken) -> None:
        """Connect again for the direction that broke. Raises its error if another connection is pointless."""
        assert self._frames is not None
        if event.sending and is_over(event.error):
            return
        if event.error is None:
            raise UnavailableError(
                "keep-lost",
                "the Keep has ended, and has not accepted the part",
                hint="the time for contributions may be over: ask the coordinator for a new run",
            )
        self._pause(event.error)
        if event.sending:
            with self._lock:
                again = self._side.again()
            self._send(again)
        else:
            self._frames.open()

    def _pause(self, error: Exception) -> None:
        """Wait before another connection. Raises `error` if there have been enough, or it is of another kind."""
        self._broken += 1
        if not isinstance(error, UnavailableError) or self._broken > TRIES or error.code in FINAL_CODES:
            raise error
        time.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._broken - 1)))

    def _send_now(self, frame: bytes) -> None:
        """Send one frame from this thread."""
        while True:
            try:
                self._link.send([frame])
            except UnavailableError as e:
                if e.code == "host-down" and not self._broken:
                    raise  # it never answered: report that at once
                self._pause(e)
            else:
                self._broken = 0
                return

    def _send(self, contribution: bytes) -> None:
        self._sender = threading.Thread(target=self._sending, args=(contribution,), daemon=True, name="enarx-part")
        self._sender.start()

    def _sending(self, contribution: bytes) -> None:
        assert self._frames is not None
        error: Exception | None = None
        try:
            with self._lock:
                start = self._side.resume()
            self._link.send(self._sealed(contribution, start))
        except Exception as e:  # noqa: BLE001  # the thread that takes the events raises it
            error = e
        if not self._frames.over:
            self._frames.events.put(Broken(True, error))

    def _sealed(self, contribution: bytes, start: int) -> Iterator[bytes | memoryview]:
        """The Contribution, and the chunks from number `start` on; earlier chunks are read but not sent."""
        assert self._frames is not None
        yield contribution
        buffer, frames = bytearray(PART_BUFFER), self._frames

        def seal(chunk: bytes | memoryview, final: bool) -> memoryview | None:
            with self._lock:
                return None if frames.over else self._side.chunk(chunk, buffer, final=final)

        yield from sealed_chunks(self._provision.chunks(), start, seal, self._progress, self._provision.size)
