"""What could have been launched: candidates in the order of how likely they are, held against what was measured.

Each `launches` here and in the modules beside gives the intended launch first, so that what differs from it is the drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product

from enarx.errors import UsageError
from enarx.formats.launch.firmware import SevMetadata
from enarx.image.launch import snp, vmsa
from enarx.image.launch.cpus import MODELS, name_of
from enarx.image.launch.hashes import KernelHashes, cmdline_hash
from enarx.image.launch.sev import require_processors
from enarx.record import record, replace

Options = Mapping[str, str]
Candidate = tuple[Options, bytes]
"""What would be launched, by the names of options, and what that measures."""

LIMIT = 2_000_000
"""Candidates that are tried for a register."""

MAX_PROCESSORS = 512
FEATURES = (0x1, 0x21)
NONE = "none"


@record()
class Explanation:
    """What was found for a register: `launched` is what measures so, None if nothing tried does; `intended` came first.

    `complete` says that every candidate was tried, if none was found.
    """

    register: str
    measured: bytes
    intended: Options
    launched: Options | None
    tried: int
    complete: bool

    @property
    def drift(self) -> tuple[tuple[str, str, str], ...]:
        """Options that differ: name, intended, launched."""
        launched = self.launched or {}
        names = dict.fromkeys((*self.intended, *launched))
        pairs = ((name, self.intended.get(name, NONE), launched.get(name, NONE)) for name in names)
        return tuple(pair for pair in pairs if self.launched is not None and pair[1] != pair[2])


def explain(register: str, measured: bytes, candidates: Iterable[Candidate], *, limit: int = LIMIT) -> Explanation:
    """The first candidate that measures so. UsageError if there is none to try."""
    intended: Options | None = None
    tried = 0
    rest = iter(candidates)
    for options, digest in islice(rest, limit):
        tried += 1
        if intended is None:
            intended = dict(options)
        if digest == measured:
            return _explained(register, measured, intended, dict(options), tried, True)
    if intended is None:
        raise UsageError("explain", f"{register}: nothing given that could have been launched")
    return _explained(register, measured, intended, None, tried, next(rest, None) is None)


def _explained(
    register: str, measured: bytes, intended: Options, launched: Options | None, tried: int, complete: bool
) -> Explanation:
    return Explanation(
        register=register, measured=measured, intended=intended, launched=launched, tried=tried, complete=complete
    )


@record()
class SevFirmware:
    """A firmware that may have been launched: its name, metadata, and the digest of its pages."""

    name: str
    metadata: SevMetadata
    digest: bytes


@record()
class Boots:
    """Kernels and initrds by name with SHA-256, and command lines; the first of each is the intended, none if there is none."""

    kernels: tuple[tuple[str, bytes], ...]
    initrds: tuple[tuple[str, bytes], ...]
    cmdlines: tuple[bytes, ...]


def snp_launches(intended: snp.Processors, firmwares: tuple[SevFirmware, ...], boots: Boots) -> Iterator[Candidate]:
    """Every launch under SNP of these firmwares, kernels, initrds and command lines, with any processors."""
    require_processors(intended.count, firmwares[0].metadata.reset)
    vmms = dict.fromkeys((intended.vmm, *vmsa.VMMS))
    started = [(_named(boot), _hashes(boot)) for boot in _boots(boots)]
    for i, (firmware, vmm, (boot, hashes)) in enumerate(product(firmwares, vmms, started)):
        try:
            before = snp.memory(firmware.metadata, firmware.digest, hashes, vmm=vmm)
        except UsageError:
            if i == 0:
                raise
            continue  # this firmware would not have the kernel measured
        options = {"firmware": firmware.name, **boot, "vmm": vmm}
        if i == 0:
            yield _intended(options, before, firmware, intended)
        yield from _processors(options, before, firmware, replace(intended, vmm=vmm, era=_era(intended, vmm)))


def _intended(options: dict[str, str], before: bytes, firmware: SevFirmware, processors: snp.Processors) -> Candidate:
    *_, digest = snp.starts(before, firmware.metadata.reset, processors)
    return options | _options(processors, processors.count), digest


def _processors(
    options: dict[str, str], before: bytes, firmware: SevFirmware, intended: snp.Processors
) -> Iterator[Candidate]:
    eras = dict.fromkeys((intended.era, *vmsa.VMMS[intended.vmm].eras))
    features = dict.fromkeys((intended.features, *FEATURES))
    for era, feature in product(eras, features):
        fixed = vmsa.VMMS[intended.vmm].eras[era].rdx is not None
        signatures = dict.fromkeys((intended.signature, *([] if fixed else MODELS.values())))
        for signature in signatures:
            count = MAX_PROCESSORS if firmware.metadata.reset else 1
            made = replace(intended, count=count, era=era, features=feature, signature=signature)
            named = _options(made, 0)
            for number, digest in enumerate(snp.starts(before, firmware.metadata.reset, made), 1):
                yield options | named | {"vcpus": str(number)}, digest


def _options(processors: snp.Processors, count: int) -> dict[str, str]:
    return {
        "vmsa-era": processors.era,
        "guest-features": f"{processors.features:#x}",
        "vcpu-model": name_of(processors.signature),
        "vcpus": str(count),
    }


def _era(intended: snp.Processors, vmm: str) -> str:
    return intended.era if vmm == intended.vmm else vmsa.CURRENT


Boot = tuple[tuple[str, bytes], tuple[str, bytes], bytes] | None


def _boots(boots: Boots) -> Iterator[Boot]:
    """Each kernel with each initrd and command line, or none; then no kernel at all."""
    initrds = (*boots.initrds, (NONE, b""))
    cmdlines = dict.fromkeys((*boots.cmdlines, b""))
    yield from product(boots.kernels, initrds, cmdlines)
    yield None


def _hashes(boot: Boot) -> KernelHashes | None:
    if boot is None:
        return None
    (_, kernel), (_, initrd), cmdline = boot
    return KernelHashes(kernel=kernel, initrd=initrd or NOTHING, cmdline=cmdline_hash(cmdline))


def _named(boot: Boot) -> dict[str, str]:
    if boot is None:
        return {"kernel": NONE, "initrd": NONE, "append": NONE}
    (kernel, _), (initrd, _), cmdline = boot
    return {"kernel": kernel, "initrd": initrd, "append": repr(cmdline.decode(errors="replace"))}


NOTHING = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""SHA-256 of nothing, which stands for an initrd that is not there."""
