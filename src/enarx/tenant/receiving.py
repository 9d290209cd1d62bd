"""Read a run's output as a recipient, from the Keep's frames at its host (docs/spec/contributions.md, "Recipients").

A recipient needs its key and a policy, and nothing from the owner. The Keep's grant brings the messages by which the
evidence is verified, and the sealed secret of the output.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from enarx.delivery.contribution import Granted, open_grant
from enarx.delivery.output import FILES
from enarx.delivery.reading import OutputOpener, require_frame
from enarx.delivery.session import STDERR, STDOUT
from enarx.delivery.suite import HpkeKey
from enarx.errors import UnavailableError
from enarx.formats.config import Config
from enarx.formats.package import Manifest
from enarx.formats.wire import FrameType
from enarx.tenant.delivering import FINAL_CODES, FIRST_PAUSE, LONGEST_PAUSE, TRIES, ReceivedEvidence, Verifier, refused
from enarx.tenant.deploy import Result
from enarx.tenant.link import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.tenant.results import Results


class Reading:
    """A recipient's reading of one run: pass it the Keep's frames in order.

    `package` and `session` are the only ones that are accepted. `write` takes verified bytes with their stream. `unpack`
    makes what unpacks the output directories of a configuration, None for no directories. `granted` is set once the Keep's
    grant has opened and `verifier` has accepted the evidence; nothing is passed on before. `results` is then what `unpack`
    has made: the caller finishes it with the final record, or discards it.
    """

    def __init__(
        self,
        key: HpkeKey,
        verifier: Verifier,
        *,
        package: bytes,
        session: bytes,
        write: Callable[[int, bytes], object],
        unpack: Callable[[Config], Results | None] = lambda config: None,
    ) -> None:
        self._key, self._verifier, self._write, self._unpack = key, verifier, write, unpack
        self._package, self._session = package, session
        self._output: OutputOpener | None = None
        self.granted: Granted | None = None
        self.results: Results | None = None

    @property
    def lost(self) -> bool:
        """Whether the host dropped output."""
        return self._output is not None and self._output.lost > 0

    def take(self, kind: FrameType, payload: bytes) -> Result | None:
        """Take a frame; returns the result once the final record has opened.

        Raises what the verifier raises; VerificationError or DeliveryError for what the Keep did not send.
        """
        if kind is FrameType.REFUSAL:
            raise refused(payload)
        if kind is FrameType.GRANT and self.granted is None:
            self._open(payload)
        if kind not in (FrameType.OUTPUT, FrameType.FILES) or self._output is None or self.granted is None:
            return None
        output = self._output.open(payload)
        require_frame(output, kind)
        if output.kind in (STDOUT, STDERR):
            self._write(output.kind, output.data)
        elif output.kind == FILES and self.results is not None:
            self.results.take(output.offset, output.data)
        return None if output.final is None else Result.of(self.granted, self._output, output.final)

    def _open(self, payload: bytes) -> None:
        granted = open_grant(payload, self._key, package=self._package, session=self._session)
        attested = granted.attested
        self._verifier(
            ReceivedEvidence(
                kind=attested.kind,
                evidence=attested.evidence,
                endorsements=attested.endorsements,
                report_data=granted.report_data,
            )
        )
        self.results = self._unpack(Manifest.from_bytes(granted.manifest).config)
        if self.results is not None:
            self.results.check()
        self.granted, self._output = granted, granted.opener()


def follow(link: Link, reading: Reading, note: Callable[[UnavailableError], None]) -> Result:
    """Read to the end of the run, over as many connections as necessary; `note` is told of each that broke.

    UnavailableError if the Keep is gone without a final record, or has ended without a grant.
    """
    start = broken = 0
    while True:
        before = start
        try:
            for number, kind, payload in link.receive(start):
                start = number + 1
                result = reading.take(kind, payload)
                if result is not None:
                    return result
        except UnavailableError as e:
            broken = 1 if start > before else broken + 1
            if e.code in FINAL_CODES or broken > TRIES or (e.code == "host-down" and not start):
                raise
            note(e)
            time.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (broken - 1)))
        else:
            raise ended(reading)


def ended(reading: Reading) -> UnavailableError:
    """The error for a Keep that is gone without a final record for this recipient."""
    if reading.granted is None:
        hint = "it starts when every provider's part has come; the coordinator sees why it ended"
        return UnavailableError(
            "not-granted", "the Keep has ended before the run began: there are no results", hint=hint
        )
    return UnavailableError(
        "keep-lost",
        "lost, unproven: the Keep is gone without a final record, so there is no result",
        hint="output shown so far is what the Keep wrote, but not all of it",
    )
