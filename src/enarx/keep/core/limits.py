"""The limits that the host grants a Keep, checked against the package before any part of the workload runs."""

from __future__ import annotations

from enarx.errors import DeliveryError, UsageError
from enarx.formats import bounds
from enarx.formats.config import Config
from enarx.formats.package import Node
from enarx.record import record

PAGE = 4096
SLACK = 1 << 20
"""Bytes for the file system's own pages, in addition to those of its entries."""


@record()
class Limits:
    """The host's limits: bytes of linear `memory`, of memory to `compile` with, of files (`disk`); and `open_files`."""

    memory: int
    compile: int
    disk: int
    open_files: int

    def check(self, config: Config) -> None:
        """Check a manifest's configuration; UsageError or DeliveryError if this Keep cannot run it."""
        sockets = config.sockets()
        if sockets:
            raise UsageError("sockets", f"this Keep has no sockets for a workload yet: {sockets[0].name}")
        if config.limits.memory > self.memory:
            raise DeliveryError(
                "memory-limit", "the package asks for more memory than the host gives", state="attested"
            )
        if config.limits.open_files + bounds.OWN_FILES > self.open_files:
            left = self.open_files - bounds.OWN_FILES
            message = f"limits.open_files is {config.limits.open_files}, this host's hard limit leaves {left}"
            raise UsageError("open-files", message, hint="raise the host's limit on open files, or lower open_files")

    def compile_memory(self, config: Config, module: bytes) -> int:
        """Return the bytes that compiling the module may take; DeliveryError if the host gives fewer."""
        memory = config.limits.compile or bounds.compile_allowance(len(module))
        if memory > self.compile:
            message = f"compiling may take {memory} bytes, the host gives {self.compile}"
            raise DeliveryError("compile-limit", message, state="receiving")
        return memory

    def disk_size(self, config: Config, trees: list[list[Node]]) -> int:
        """Return the bytes of files that the package may need in all; DeliveryError if the host gives fewer."""
        size = sum(in_pages(node.size) for nodes in trees for node in nodes) + config.limits.disk + SLACK
        if size > self.disk:
            message = f"the package needs {size} bytes of files, the host gives {self.disk}"
            raise DeliveryError("disk-limit", message, state="receiving")
        return size


def in_pages(size: int) -> int:
    """Return the memory of a file of `size` bytes: its content in whole pages, and a page for the entry itself."""
    return PAGE - (-size // PAGE) * PAGE
