"""`enarx image explain-mismatch`: search for the launch of the given files that has the registers of some evidence.

The evidence is parsed and not verified. Claims classes are imported for type checkers only, so that this module does
not need the code of every kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from enarx.cli import console, launch_files
from enarx.cli.evidence_files import load
from enarx.errors import UsageError
from enarx.formats.evidence.eventlog import MAX_SIZE as MAX_LOG
from enarx.formats.evidence.eventlog import EventLog
from enarx.image.launch import events, search, search_boot, search_images, tdx
from enarx.image.launch.search import Explanation
from enarx.verify import Roots, examine
from enarx.verify.replay import PCRS, RTMRS, pcr_values

MAX_EVIDENCE = 16 << 20
LAYOUTS = {"tdx": RTMRS, "tpm": PCRS}


def explain(options: argparse.Namespace) -> int:
    """Print the matching launch; returns 0 if it explains every register that was tried, else 126."""
    from enarx.verify.kinds import detect

    data = load(options.evidence, MAX_EVIDENCE)
    options.kind = options.kind or detect(data)
    if options.kind not in SEARCHES:
        raise UsageError(
            "kind", f"launches of kind {options.kind} cannot be searched", hint=f"one of {', '.join(SEARCHES)}"
        )
    launch_files.require_taken(options, options.kind)
    claims: Any = examine(options.kind, data, (), roots=Roots(), now=0).unverified_claims
    explanations = list(SEARCHES[options.kind](options, claims))
    if not explanations:
        raise UsageError("explain", f"no given file is measured by {options.kind}", hint="enarx image measure --help")
    registers = [_value(explanation) for explanation in explanations]
    value: dict[str, Any] = {"kind": options.kind, "verified": False, "registers": registers}
    if options.event_log:
        bank = getattr(claims, "pcr_bank", "sha384")
        value |= log_value(options.event_log, options.kind, bank, _known(options, bank))
    if options.json:
        console.show_json(value)
    else:
        _show(explanations, value)
    return 0 if all(each.launched is not None for each in explanations) else console.EXIT_REFUSED


def _known(options: argparse.Namespace, bank: str) -> dict[bytes, str]:
    """Descriptions of the events of the intended launch, by digest."""
    known = events.of_firmware(launch_files.firmware(options.firmware[0]), bank) if options.firmware else {}
    if options.kernel:
        files = launch_files.boot_files(options)
        _, kernel = next(search_boot.kernels(files, bank))
        cmdline = files.cmdlines[0] if files.cmdlines else b""
        initrd = files.initrds[0][1] if files.initrds else None
        for event in (*tdx.rtmr1(kernel, bank=bank), *tdx.rtmr2(cmdline, initrd, bank=bank)):
            known[event.digest] = f"{event.what}, as intended"
    return known


def _snp(options: argparse.Namespace, claims: Any) -> Iterator[Explanation]:
    processors, firmwares = launch_files.processors(options), launch_files.sev_firmwares(options)
    launches = search.snp_launches(processors, firmwares, launch_files.sev_boots(options))
    yield search.explain("measurement", claims.measurement, launches)


def _tdx(options: argparse.Namespace, claims: Any) -> Iterator[Explanation]:
    if options.firmware:
        firmwares = tuple((path, launch_files.firmware(path)) for path in options.firmware)
        yield search.explain("mrtd", claims.measurement, search_boot.mrtd_launches(firmwares, options.page_order))
    if options.kernel:
        files = launch_files.boot_files(options)
        yield search.explain("rtmr1", claims.rtmr1, search_boot.rtmr1_launches(files, options.separators))
        yield search.explain("rtmr2", claims.rtmr2, search_boot.stub_launches(files, "sha384"))
    if options.event_log:
        log = EventLog.from_bytes(load(options.event_log, MAX_LOG))
        for i, measured in enumerate((claims.rtmr0, claims.rtmr1, claims.rtmr2, claims.rtmr3)):
            replayed = events.replayed(log, "sha384", i + 1)
            yield search.explain(f"rtmr{i} by the log", measured, [({"log": options.event_log}, replayed)])


def _tpm(options: argparse.Namespace, claims: Any) -> Iterator[Explanation]:
    bank, files, images = claims.pcr_bank, launch_files.boot_files(options), launch_files.files(options.uki)
    values = pcr_values(claims.pcrs)
    candidates: dict[int, Iterator[search.Candidate]] = {}
    if files.kernels or images:
        candidates[4] = search_boot.pcr4_launches(files, images, bank)
    if stub := list(search_boot.pcr9_launches(files, images, bank)):
        candidates[9] = iter(stub)
    if images:
        passed = tuple(launch_files.cmdline(text) for text in (*options.passed, *options.append))
        candidates |= {11: search_boot.pcr11_launches(images, bank), 12: search_boot.pcr12_launches(passed, bank)}
    for index, launches in candidates.items():
        if index in values:
            yield search.explain(f"pcr{index}", values[index], launches)
    if options.event_log:
        log = EventLog.from_bytes(load(options.event_log, MAX_LOG))
        for index, measured in values.items():
            replayed = events.replayed(log, bank, index)
            yield search.explain(f"pcr{index} by the log", measured, [({"log": options.event_log}, replayed)])


def _nitro(options: argparse.Namespace, claims: Any) -> Iterator[Explanation]:
    given = ((options.certificate, load(options.certificate)),) if options.certificate else ()
    parts = search_images.parts_of(launch_files.enclave_images(options), given)
    for index, measured in {0: claims.measurement, 1: claims.pcr1, 2: claims.pcr2, 8: claims.pcr8}.items():
        if isinstance(measured, bytes):
            yield search.explain(f"pcr{index}", measured, search_images.nitro_launches(parts, index))


def _sgx(options: argparse.Namespace, claims: Any) -> Iterator[Explanation]:
    sigstructs = launch_files.sigstructs(options)
    launches = search_images.enclave_launches(launch_files.layouts(options), sigstructs)
    yield search.explain("mr_enclave", claims.measurement, launches)
    if sigstructs:
        yield search.explain("mr_signer", claims.mr_signer, search_images.signer_launches(sigstructs))


SEARCHES: Mapping[str, Callable[[argparse.Namespace, Any], Iterator[Explanation]]] = {
    "snp": _snp,
    "tdx": _tdx,
    "nitro": _nitro,
    "sgx": _sgx,
    "tpm": _tpm,
}


def _value(explanation: Explanation) -> dict[str, Any]:
    return {
        "register": explanation.register,
        "measured": explanation.measured.hex(),
        "intended": dict(explanation.intended),
        "launched": None if explanation.launched is None else dict(explanation.launched),
        "drift": [dict(zip(("option", "intended", "launched"), row, strict=True)) for row in explanation.drift],
        "tried": explanation.tried,
        "complete": explanation.complete,
    }


def _show(explanations: list[Explanation], value: Mapping[str, Any]) -> None:
    console.warn("the evidence is not verified; run enarx evidence verify")
    for explanation in explanations:
        console.show(f"{explanation.register}: {_verdict(explanation)}")
        for name, intended, launched in explanation.drift:
            console.show(f"  {name}: {intended} was intended, {launched} was launched")
    rows = value.get("log", [])
    if rows:
        print()
        console.table([[str(cell) for cell in row.values()] for row in rows], list(rows[0]))


def _verdict(explanation: Explanation) -> str:
    if explanation.launched is None:
        left = "" if explanation.complete else ", with more untried"
        start = explanation.measured.hex()[:16]
        return f"{start}... matches none of {explanation.tried} launches{left}: something else was launched"
    return "as intended" if not explanation.drift else f"explained, after {explanation.tried} launches"


def log_value(path: str, kind: str, bank: str, known: Mapping[bytes, str]) -> dict[str, Any]:
    """The replayed registers of a log, and the origin of each event, as JSON values."""
    log = EventLog.from_bytes(load(path, MAX_LOG))
    names = LAYOUTS[kind].names
    used = sorted({event.register for event in log.events if event.extends and event.register in names})
    value: dict[str, Any] = {f"replayed_{names[i]}": events.replayed(log, bank, i).hex() for i in used}
    value["log"] = [
        {
            "event": origin.position,
            "register": names.get(origin.register, str(origin.register)),
            "type": origin.type,
            "how": origin.how,
            "what": origin.what,
        }
        for origin in events.origins(log, bank, known)
    ]
    return value
