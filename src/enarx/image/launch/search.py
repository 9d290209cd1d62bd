"""Search for a launch with a given measurement, among candidates sorted by likelihood.

Each `..._launches` function, here and in the neighbouring modules, yields the intended launch first. The options in which
the matching launch differs from it are the drift.
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
"""The options of a launch, and its measurement."""

LIMIT = 2_000_000
"""The most candidates to try for a register."""

MAX_PROCESSORS = 512
FEATURES = (0x1, 0x21)
NONE = "none"


@record()
class Explanation:
    """The outcome for a register: the options of the launch that matches, or None, beside the intended ones.

    `complete` is False if no candidate matched and some were not tried.
    """

    register: str
    measured: bytes
    intended: Options
    launched: Options | None
    tried: int
    complete: bool

    @property
    def drift(self) -> tuple[tuple[str, str, str], ...]:
        """The options that differ, as triples of name, intended and launched value."""
        launched = self.launched or {}
        names = dict.fromkeys((*self.intended, *launched))
        pairs = ((name, self.intended.get(name, NONE), launched.get(name, NONE)) for name in names)
        return tuple(pair for pair in pairs if self.launched is not None and pair[1] != pair[2])


def explain(register: str, measured: bytes, candidates: Iterable[Candidate], *, limit: int = LIMIT) -> Explanation:
    """The first candidate with the value `measured`; UsageError if there are no candidates."""
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
        raise UsageError("explain", f"{register}: no given file could have been launched")
    return _explained(register, measured, intended, None, tried, next(rest, None) is None)


def _explained(
    register: str, measured: bytes, intended: Options, launched: Options | None, tried: int, complete: bool
) -> Explanation:
    return Explanation(
        register=register, measured=measured, intended=intended, launched=launched, tried=tried, complete=complete
    )


@record()
class SevFirmware:
    """A firmware that may have been launched: its name, its metadata, and the digest of its pages."""

    name: str
    metadata: SevMetadata
    digest: bytes


@record()
class Boots:
    """Names and SHA-256 of kernels and initrds, and command lines. The first of each is intended; empty means none."""

    kernels: tuple[tuple[str, bytes], ...]
    initrds: tuple[tuple[str, bytes], ...]
    cmdlines: tuple[bytes, ...]


def snp_launches(intended: snp.Processors, firmwares: tuple[SevFirmware, ...], boots: Boots) -> Iterator[Candidate]:
    """Every SNP launch of these firmwares, kernels, initrds and command lines, with any processors."""
    require_processors(intended.count, firmwares[0].metadata.reset)
    vmms = dict.fromkeys((intended.vmm, *vmsa.VMMS))
    started = [(_named(boot), _hashes(boot)) for boot in _boots(boots)]
    for i, (firmware, vmm, (boot, hashes)) in enumerate(product(firmwares, vmms, started)):
        try:
            before = snp.memory(firmware.metadata, firmware.digest, hashes, vmm=vmm)
        except UsageError:
            if i == 0:
                raise
            continue  # this firmware would start the kernel unmeasured
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
            varied = replace(intended, count=count, era=era, features=feature, signature=signature)
            named = _options(varied, 0)
            for number, digest in enumerate(snp.starts(before, firmware.metadata.reset, varied), 1):
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
    """Each kernel with each initrd and command line, or without them; then no kernel."""
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
"""SHA-256 of no bytes, which stands for a missing initrd."""
