"""`enarx host`: serve Keeps on this machine."""

from __future__ import annotations

import argparse


def serve(options: argparse.Namespace) -> int:
    """Run the daemon until it is told to end."""
    raise SystemExit(options)
