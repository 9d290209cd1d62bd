"""What the core asks its driver to do. A driver performs the actions in order, and decides nothing itself."""

from __future__ import annotations

from enarx.delivery.content import FilePiece
from enarx.formats.package import Node
from enarx.record import record


@record(kw_only=False)
class Send:
    """Send these bytes, which are whole frames, to the tenant."""

    data: bytes


@record(kw_only=False)
class AskEvidence:
    """Have evidence made over 64 bytes of report data; answered by `evidence` or `no_evidence`."""

    report_data: bytes


@record(kw_only=False, hidden=("secrets",))
class StoreSecrets:
    """Store the secrets, by name, where only the workload can read them."""

    secrets: tuple[tuple[str, bytes], ...]


@record(kw_only=False, hidden=("module",))
class Compile:
    """Begin to compile the module. `fuel` is whether the code counts fuel, `memory` the bytes that compiling may take."""

    module: bytes
    fuel: bool
    memory: int


@record(kw_only=False, hidden=("trees",))
class CreateTrees:
    """Make room for `size` bytes, then create every directory, link and empty file. `FilePiece` actions fill the files."""

    trees: list[list[Node]]
    size: int


@record(hidden=("args", "env"))
class Start:
    """Start the workload, once it is compiled; answered by `loaded` when its code is there, and by `ended`.

    `dirs` are (number of the directory's tree, path for the guest, writable); `secrets` is whether it has any. `memory`
    is in bytes of linear memory; `milliseconds` are of wall time. None means unlimited.
    """

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    dirs: tuple[tuple[int, str, bool], ...]
    secrets: bool
    memory: int
    fuel: int | None
    milliseconds: int | None
    open_files: int


@record(kw_only=False, hidden=("data",))
class WriteStdin:
    """Write to the workload's stdin, after what is still to be written; answered by `stdin_written` or `stdin_closed`."""

    data: bytes


@record()
class DropStdin:
    """Drop the bytes for stdin that the workload has not taken; the tenant will send them again."""


@record()
class CloseStdin:
    """Close the workload's stdin, once all that was given has been written."""


@record(kw_only=False)
class Kill:
    """Kill the workload; answered by `ended`. `cause` is the one in the final record."""

    cause: str


@record()
class Done:
    """The Keep's work is over: send what is queued, and end."""


Action = (
    Send
    | AskEvidence
    | StoreSecrets
    | Compile
    | CreateTrees
    | FilePiece
    | Start
    | WriteStdin
    | DropStdin
    | CloseStdin
    | Kill
    | Done
)
