"""Evidence from a file: what it claims, and the verdict on it."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from enarx.cli import console
from enarx.cli.evidence_files import (
    anchor_certificates,
    endorsements,
    load,
    show_unused,
    trust_anchors,
    unix_time,
    unused_content,
    user_roots,
)
from enarx.errors import ParseError, UsageError
from enarx.formats.evidence import eventlog
from enarx.formats.evidence.eventlog import LOGS
from enarx.formats.text import hex_bytes
from enarx.verify import AttestationResult, Roots, attestation_result, examine, unappraised
from enarx.verify.appraise import MIN_FRESH, unverified
from enarx.verify.claims import declared
from enarx.verify.kinds import KINDS, detect, find
from enarx.verify.policy_file import read_policy
from enarx.verify.result import AUTHENTIC, NOT_AUTHENTIC, TRUSTED, UNDECIDED
from enarx.verify.values import as_dict_plain

MAX_EVIDENCE = 16 << 20
MAX_POLICY = 1 << 20
EXITS = {TRUSTED: 0, AUTHENTIC: 0, UNDECIDED: console.EXIT_UNDECIDED}
ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "Ed25519"}
EAR_TYPE = "eat+jwt"
"""The media type without `application/` (RFC 9782), so that no other JWT passes for a result (RFC 8725, 3.11)."""

ONLY_AUTHENTIC = "NOT APPRAISED: authentic evidence shows who signed it, not that it is acceptable"


def show(options: argparse.Namespace) -> int:
    """Show what the evidence claims, unverified; 0."""
    data = load(options.file, MAX_EVIDENCE)
    kind = _kind(options, data)
    if kind in LOGS:
        from enarx.cli.event_logs import show_log

        show_log(kind, data, as_json=options.json)
        return 0
    claims = examine(kind, data, (), roots=Roots(), now=0).unverified_claims
    values = {name: value for name, value in as_dict_plain(claims).items() if name != "kind"}
    if options.json:
        console.show_json({"kind": kind, **values})
    else:
        declarations = declared(type(claims))
        rows = [[name, _short(value), declarations[name].meaning] for name, value in values.items()]
        console.table(rows, ["claim", f"value ({kind}, not verified)", "meaning"])
    return 0


def verify(options: argparse.Namespace) -> int:
    """Verify and appraise evidence; 0 trusted, 126 refused, 127 undecided."""
    if not options.policy and not options.authenticity_only:
        hint = "--policy FILE (enarx policy init --kind KIND writes one), or --authenticity-only"
        raise UsageError("policy", "a verdict needs a policy: nothing says what is acceptable", hint=hint)
    if options.policy and options.authenticity_only:
        raise UsageError("policy", "--authenticity-only appraises nothing: it takes no policy")
    if options.report_data and options.authenticity_only:
        raise UsageError("report-data", "--authenticity-only appraises nothing: it takes no report data")
    data = load(options.file, MAX_EVIDENCE)
    kind = _kind(options, data)
    if kind in LOGS:
        raise UsageError("kind", "an event log is not evidence", hint="--event-log FILE beside evidence")
    log = b""
    if options.event_log:
        from enarx.verify.replay import require_registers

        require_registers(kind)
        log = load(options.event_log, MAX_EVIDENCE)
    now = _time(options.at, kind, data)
    files, anchors = endorsements(options.endorsements), trust_anchors(options.trust_anchor)
    roots = Roots(**user_roots(kind, anchors))
    given = (*files.items, *anchor_certificates(kind, anchors))
    try:
        if options.authenticity_only:
            result = _authenticity(kind, data, given, roots, now)
        else:
            result = _verdict(options, kind, data, given, roots, now)
    except ParseError as e:
        return _unreadable(options, kind, e, unused_content(kind, files, anchors, None), now)
    if options.event_log:
        from enarx.verify.replay import appraise_event_log

        result = appraise_event_log(result, log)
    return finish(options, result, unused_content(kind, files, anchors, result))


def _kind(options: argparse.Namespace, data: bytes) -> str:
    """The kind of evidence, or the format of a log: as --kind says, or else detected from the first bytes."""
    if options.kind and options.kind not in (*KINDS, *LOGS):
        raise UsageError(
            "kind", f"{options.kind[:40]!r} is not a kind of evidence", hint=f"one of {', '.join((*KINDS, *LOGS))}"
        )
    return options.kind or eventlog.detect(data) or detect(data)


def _time(text: str, kind: str, data: bytes) -> int:
    """The time of --at in unix seconds: now, an RFC 3339 text, or the evidence's own time."""
    if text == "now":
        return int(time.time())
    if text == "evidence":
        return _own_time(kind, data)
    return unix_time(text)


def _own_time(kind: str, data: bytes) -> int:
    own_time = find(kind).time
    if own_time is not None:
        try:
            return own_time(data)
        except ParseError:
            return 0  # verification reports the error
    raise UsageError("at", f"evidence of kind {kind} states no time", hint="--at 2026-01-31T12:00:00Z")


def _authenticity(kind: str, data: bytes, given: tuple[bytes, ...], roots: Roots, now: int) -> AttestationResult:
    """The result of the authenticity checks alone, for --authenticity-only."""
    console.warn(ONLY_AUTHENTIC)
    examination = examine(kind, data, given, roots=roots, now=now)
    if examination.status == AUTHENTIC:
        return unappraised(examination.verified())
    return unverified(examination)


def _verdict(
    options: argparse.Namespace, kind: str, data: bytes, given: tuple[bytes, ...], roots: Roots, now: int
) -> AttestationResult:
    policy = read_policy(load(options.policy, MAX_POLICY).decode(errors="replace"), options.policy)
    if not options.report_data:
        hint = "--report-data HEX: the hash or nonce that you asked the Keep to put in"
        raise UsageError("report-data", "a verdict needs the fresh data that the evidence must carry", hint=hint)
    fresh = _hex(options.report_data)
    if len(fresh) >= MIN_FRESH:
        fresh = fresh.ljust(find(kind).report_size, b"\0")
    return attestation_result(kind, data, given, policy=policy, roots=roots, report_data=fresh, now=now)


def _hex(text: str) -> bytes:
    try:
        return hex_bytes(text)
    except ValueError:
        raise UsageError("report-data", "--report-data: wanted hexadecimal digits") from None


def finish(options: argparse.Namespace, result: AttestationResult, unused: list[dict[str, str]]) -> int:
    """Print the result as the options ask, and return the exit code for its status."""
    code = EXITS.get(result.status, console.EXIT_REFUSED)
    value = result.to_value()
    value["advisories"] = (value["claims"] or {}).get("advisories", [])
    value["unused"] = unused
    if options.ear:
        print(_ear(options.ear, result))
    elif options.json:
        console.show_json(value)
    else:
        _table(result)
    good = code == 0
    console.say(f"attestation: {result.status} ({result.kind})", colour="32;1" if good else "31;1")
    if good:
        console.say(f"  expires: {console.expiry(result.expires, result.ends_first)}")
    for check in result.failed:
        if check.outcome != "not reached":
            code_of = "" if check.code == check.id else f" ({check.code})"
            console.say(f"  {check.outcome}: {check.id}{code_of}: got {check.got[:300]}, wanted {check.wanted[:300]}")
            if check.hint:
                console.say(f"    hint: {check.hint}")
    show_unused(unused)
    return code


def _table(result: AttestationResult) -> None:
    rows = [[c.outcome, c.id, c.got[:72], c.wanted[:72], c.anchor, c.where] for c in result.checks]
    console.table(rows, ["outcome", "check", "got", "wanted", "anchor", "rule"])
    for entry in result.forecast:
        until = "no date known" if entry.until is None else console.utc(entry.until)
        console.show(f"forecast: {entry.id} holds until {until}: {entry.reason}")


def _unreadable(options: argparse.Namespace, kind: str, e: ParseError, unused: list[dict[str, str]], now: int) -> int:
    """Report evidence of the wrong format as not authentic; with --json, as a result of the usual form."""
    if options.json:
        check = {
            "id": "format",
            "outcome": "failed",
            "code": e.code,
            "got": e.message,
            "wanted": e.what,
            "anchor": "none",
            "where": e.what,
        }
        value: dict[str, Any] = {
            "status": NOT_AUTHENTIC,
            "kind": kind,
            "at": now,
            "policy": None,
            "claims": None,
            "checks": [check | {"hint": e.hint}],
        }
        value |= {"advisories": [], "expires": None, "ends_first": None, "forecast": [], "unused": unused}
        console.show_json(value)
    return console.report(e)


def _ear(path: str, result: AttestationResult) -> str:
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    from enarx import VERSION
    from enarx.verify.ear import ear

    claims = ear(result, build=f"enarx {VERSION}")
    for key_type in (jwk.ECKey, jwk.OKPKey):
        try:
            key = key_type.import_key(load(path))
            name = ALGORITHMS[key.curve_name]
            return jwt.encode({"alg": name, "typ": EAR_TYPE}, claims, key, algorithms=[name])
        except (ValueError, TypeError, KeyError, JoseError):
            continue
    raise UsageError(
        "ear-key", f"{path}: wanted a private key, P-256, P-384, P-521 or Ed25519, as PEM without a password"
    )


def _short(value: object) -> str:
    text = json.dumps(value) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
