"""The search for what was launched: each register of the evidence is held against every launch of what is given."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from enarx.cli import console, launch_files
from enarx.cli.evidence_files import load
from enarx.errors import UsageError
from enarx.formats.evidence.eventlog import MAX_SIZE as MAX_LOG
from enarx.formats.evidence.eventlog import EventLog
from enarx.image.launch import events, search, search_boot, search_images, tdx
from enarx.image.launch.search import Explanation
from enarx.verify import Roots, examine
from enarx.verify.replay import PCRS, RTMRS

MAX_EVIDENCE = 16 << 20
LAYOUTS = {"tdx": RTMRS, "tpm": PCRS}


def explain(options: argparse.Namespace) -> int:
    """Show what was found; 0 if every register that was tried is explained, else 126."""
    from enarx.verify.kinds import detect

    data = load(options.evidence, MAX_EVIDENCE)
    options.kind = options.kind or detect(data)
    if options.kind not in launch_files.TAKEN or options.kind.startswith("sev"):
        raise UsageError("kind", f"a launch of kind {options.kind} is not searched for")
    launch_files.require_taken(options, options.kind)
    said = examine(options.kind, data, (), roots=Roots(), now=0).unverified_claims
    found = list(_explanations(options, said))
    if not found:
        raise UsageError("explain", f"nothing given that {options.kind} measures", hint="enarx image measure --help")
    value: dict[str, Any] = {"kind": options.kind, "verified": False, "registers": [_value(made) for made in found]}
    if options.event_log:
        bank = getattr(said, "pcr_bank", "sha384")
        value |= log_value(options.event_log, options.kind, bank, _known(options, bank))
    if options.json:
        console.show_json(value)
    else:
        _show(found, value)
    return 0 if all(made.launched is not None for made in found) else console.EXIT_REFUSED


def _explanations(options: argparse.Namespace, said: Any) -> Iterator[Explanation]:
    by_kind = {"snp": _snp, "tdx": _tdx, "nitro": _nitro, "sgx": _sgx, "tpm": _tpm}
    return by_kind[options.kind](options, said)


def _known(options: argparse.Namespace, bank: str) -> dict[bytes, str]:
    """What the events of the intended launch are of, by digest."""
    known = events.of_firmware(launch_files.firmware(options.firmware[0]), bank) if options.firmware else {}
    if options.kernel:
        files = launch_files.boot_files(options)
        _, kernel = next(search_boot.kernels(files, bank))
        cmdline = files.cmdlines[0] if files.cmdlines else b""
        initrd = files.initrds[0][1] if files.initrds else None
        for event in (*tdx.rtmr1(kernel, bank=bank), *tdx.rtmr2(cmdline, initrd, bank=bank)):
            known[event.digest] = f"{event.what}, as intended"
    return known


def _snp(options: argparse.Namespace, said: Any) -> Iterator[Explanation]:
    processors, firmwares = launch_files.processors(options), launch_files.sev_firmwares(options)
    launches = search.snp_launches(processors, firmwares, launch_files.sev_boots(options))
    yield search.explain("measurement", said.measurement, launches)


def _tdx(options: argparse.Namespace, said: Any) -> Iterator[Explanation]:
    if options.firmware:
        firmwares = tuple((path, launch_files.firmware(path)) for path in options.firmware)
        yield search.explain("mrtd", said.measurement, search_boot.mrtd_launches(firmwares, options.page_order))
    if options.kernel:
        files = launch_files.boot_files(options)
        yield search.explain("rtmr1", said.rtmr1, search_boot.rtmr1_launches(files, options.separators))
        yield search.explain("rtmr2", said.rtmr2, search_boot.stub_launches(files, "sha384"))
    if options.event_log:
        log = EventLog.from_bytes(load(options.event_log, MAX_LOG))
        for i, measured in enumerate((said.rtmr0, said.rtmr1, said.rtmr2, said.rtmr3)):
            replayed = events.replayed(log, "sha384", i + 1)
            yield search.explain(f"rtmr{i} by the log", measured, [({"log": options.event_log}, replayed)])


def _tpm(options: argparse.Namespace, said: Any) -> Iterator[Explanation]:
    bank, files, images = said.pcr_bank, launch_files.boot_files(options), launch_files.files(options.uki)
    values = {int(index): bytes.fromhex(value) for index, value in (text.split(":") for text in said.pcrs)}
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


def _nitro(options: argparse.Namespace, said: Any) -> Iterator[Explanation]:
    given = ((options.certificate, load(options.certificate)),) if options.certificate else ()
    parts = search_images.parts_of(launch_files.enclave_images(options), given)
    for index, measured in {0: said.measurement, 1: said.pcr1, 2: said.pcr2, 8: said.pcr8}.items():
        if isinstance(measured, bytes):
            yield search.explain(f"pcr{index}", measured, search_images.nitro_launches(parts, index))


def _sgx(options: argparse.Namespace, said: Any) -> Iterator[Explanation]:
    sigstructs = launch_files.sigstructs(options)
    launches = search_images.enclave_launches(launch_files.layouts(options), sigstructs)
    yield search.explain("mr_enclave", said.measurement, launches)
    if sigstructs:
        yield search.explain("mr_signer", said.mr_signer, search_images.signer_launches(sigstructs))


def _value(made: Explanation) -> dict[str, Any]:
    return {
        "register": made.register,
        "measured": made.measured.hex(),
        "intended": dict(made.intended),
        "launched": None if made.launched is None else dict(made.launched),
        "drift": [dict(zip(("option", "intended", "launched"), row, strict=True)) for row in made.drift],
        "tried": made.tried,
        "complete": made.complete,
    }


def _show(found: list[Explanation], value: Mapping[str, Any]) -> None:
    console.warn("the evidence is not verified here (enarx evidence verify)")
    for made in found:
        console.show(f"{made.register}: {_verdict(made)}")
        for name, intended, launched in made.drift:
            console.show(f"  {name}: {intended} was intended, {launched} was launched")
    rows = value.get("log", [])
    if rows:
        print()
        console.table([[str(cell) for cell in row.values()] for row in rows], list(rows[0]))


def _verdict(made: Explanation) -> str:
    if made.launched is None:
        left = "" if made.complete else ", and there are more"
        return f"{made.measured.hex()[:16]}... is none of the {made.tried} launches tried{left}: something else was launched"
    return "as intended" if not made.drift else f"explained, after {made.tried} launches"


def log_value(path: str, kind: str, bank: str, known: Mapping[bytes, str]) -> dict[str, Any]:
    """A log's registers, and for each event whether what it is of is at hand."""
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
