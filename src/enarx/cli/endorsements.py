"""Endorsements: fetched from vendors, bundled from files, and shown."""

from __future__ import annotations

import argparse
import os
import time

from enarx.cli import console
from enarx.cli.evidence_files import MALFORMED, endorsements, load
from enarx.endorsements import amd, intel
from enarx.endorsements.cache import Cache
from enarx.endorsements.describe import described
from enarx.endorsements.gather import gather
from enarx.endorsements.web import Web
from enarx.errors import UsageError
from enarx.formats.bundle import Bundle
from enarx.record import as_dict
from enarx.tenant.paths import cache_dir, write_private
from enarx.verify.kinds import KINDS, detect

MAX_EVIDENCE = 16 << 20
KDS, PCS = "ENARX_KDS_URL", "ENARX_PCS_URL"


def fetch(options: argparse.Namespace) -> int:
    """Fetch what verifying a piece of evidence needs from its vendor, into a bundle; 0."""
    data = load(options.file, MAX_EVIDENCE)
    if options.kind and options.kind not in KINDS:
        raise UsageError("kind", f"{options.kind[:40]!r} is not a kind of evidence", hint=f"one of {', '.join(KINDS)}")
    cache = Cache(os.path.join(cache_dir(), "endorsements"), write=write_private)
    kds_url = options.kds_url or os.environ.get(KDS) or amd.URL
    pcs_url = options.pcs_url or os.environ.get(PCS) or intel.URL

    def kds() -> amd.Kds:
        return amd.Kds(Web(kds_url, say=console.say), cache)

    def pcs() -> intel.Pcs:
        root = Web(intel.ROOT_CRL_URL, say=console.say) if pcs_url == intel.URL else None
        return intel.Pcs(Web(pcs_url, say=console.say), cache, root=root)

    _write(options.output, gather(options.kind or detect(data), data, kds=kds, pcs=pcs))
    return 0


def bundle(options: argparse.Namespace) -> int:
    """Merge endorsements from files into one bundle; 0."""
    pieces = _gathered(options.files)
    if not pieces:
        raise UsageError("endorsements", "these files contain no endorsement")
    _write(options.output, Bundle(items=tuple(described(data, "a file") for data in pieces)))
    return 0


def show(options: argparse.Namespace) -> int:
    """Show what each endorsement is and when it expires, unverified; 0."""
    items = [described(data, "") for data in _gathered(options.files)]
    if options.json:
        console.show_json([{**as_dict(i), "data": i.data.hex()} for i in items])
    else:
        console.table([[i.what, _date(i.until)] for i in items], ["endorsement (not verified)", "until"])
    return 0


def _gathered(paths: list[str]) -> tuple[bytes, ...]:
    """The endorsements in files. UsageError for a malformed file that was named; other content and keys are skipped."""
    gathered = endorsements(paths)
    for source, reason in gathered.unused:
        if source in paths and reason.startswith(MALFORMED):
            raise UsageError("endorsements", f"{source}: {reason}")
        console.say(f"skipped: {source}: {reason}")
    return gathered.items


def _write(path: str, bundle: Bundle) -> None:
    for item in bundle.items:
        console.say(f"{item.what}, until {_date(item.until)}")
    try:
        write_private(os.path.abspath(path), bundle.to_bytes())
    except OSError as e:
        raise UsageError("file", f"{path}: {e.strerror}") from e
    console.say(f"{len(bundle.items)} endorsements in {path}")


def _date(until: int | None) -> str:
    return "unknown" if until is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
