"""The kind `process`: the Keep as a sandboxed child, with simulated hardware. Always there on Linux.

The sandbox (namespaces, Landlock, seccomp and the rest) is put on by the Keep's own measured code before it reads
anything (`keep/sandbox`), and what is on is reported with every launch. It protects the host from the workload; it does
not protect the workload from the host.
"""

from __future__ import annotations

LOUD = (
    "UNPROTECTED: Keeps of kind process do not protect workloads from this host; they protect this host from workloads"
)


class Process:
    """The kind itself; launching is the launcher's, with the hardware's help."""

    kind = "process"

    def probe(self) -> dict[str, str | bool]:
        """As Backend."""
        return {"available": True, "detail": "sandboxed process, simulated evidence, for trying out only", "remedy": ""}

    def require(self) -> None:
        """As Backend: a layer that is missing is found at the launch."""


PROCESS = Process()
