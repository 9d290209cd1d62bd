"""The actions that the core requests from its driver (`keep.keeper`), which performs them in order and decides nothing."""

from __future__ import annotations

from enarx.delivery.content import FilePiece
from enarx.formats.config import Limits
from enarx.formats.package import Node
from enarx.record import record


@record(kw_only=False)
class Send:
    """Send these bytes, which are whole frames, to the tenant."""

    data: bytes


@record(kw_only=False)
class AskEvidence:
    """Request evidence over 64 bytes of report data; the driver answers with the event `evidence` or `no_evidence`."""

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


@record(kw_only=False, hidden=("trees",))
class ReplaceTrees:
    """Empty the directories of these numbers, then create their entries. `FilePiece` actions fill the files."""

    trees: tuple[tuple[int, list[Node]], ...]


@record(hidden=("args", "env"))
class Start:
    """Start the workload once it is compiled; the driver answers with the events `loaded` and `ended`.

    `dirs` are (number of the directory's tree, path for the guest, writable); `secrets` is whether there are any. `limits`
    are the package's; `results` is whether there will be output directories to collect.
    """

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    dirs: tuple[tuple[int, str, bool], ...]
    secrets: bool
    limits: Limits
    results: bool
    tty: bool


@record(kw_only=False, hidden=("data",))
class WriteStdin:
    """Append to the workload's stdin; the driver answers with the event `stdin_written` or `stdin_closed`."""

    data: bytes


@record()
class DropStdin:
    """Drop the bytes for stdin that the workload has not taken; the tenant will send them again."""


@record()
class CloseStdin:
    """Close the workload's stdin once everything for it has been written."""


@record(kw_only=False)
class Kill:
    """Kill the workload; the driver answers with the event `ended`. `cause` will be in the final record."""

    cause: str


@record(kw_only=False)
class Collect:
    """Collect output directories once the workload is dead: (number of the tree, path for the guest).

    Their stream may have `room` bytes. The driver answers with the events `files` and `collected`.
    """

    trees: tuple[tuple[int, str], ...]
    room: int


@record()
class Done:
    """The Keep's work is over: send what is queued, and end."""


Action = (
    Send
    | AskEvidence
    | StoreSecrets
    | Compile
    | CreateTrees
    | ReplaceTrees
    | FilePiece
    | Start
    | WriteStdin
    | DropStdin
    | CloseStdin
    | Kill
    | Collect
    | Done
)
