"""A complete job: a payroll, computed on a host that sees only ciphertext.

It starts a host daemon with its own directories, deploys examples/payroll to it as a tenant would, and checks the tag of
the report with the key. Then it searches all files of the host for the data and the key. DEMO_FLAGS is added to the options of
`enarx host serve`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENARX = str(Path(sys.executable).parent / "enarx")
PATIENCE = 30


def main() -> int:
    """Run the demo; returns the deployment's exit code, or 1 if the host has seen plaintext."""
    with tempfile.TemporaryDirectory(prefix="enarx-demo-") as directory:
        home = Path(directory)
        names = {"XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}
        environment = os.environ | {name: str(home / path) for name, path in names.items()}
        log = home / "host.log"
        command = [ENARX, "host", "serve", "--socket", str(home / "host.sock"), "--state", str(home / "host")]
        command += shlex.split(os.environ.get("DEMO_FLAGS", ""))
        with log.open("wb") as stderr:
            host = subprocess.Popen(command, stderr=stderr, env=environment)
        try:
            return demonstrate(home, environment, listening(host, log))
        finally:
            host.terminate()
            host.wait()


def listening(host: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """The daemon's log record of the moment it listens."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and host.poll() is None:
        for line in log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "listening":
                return dict(event)
        time.sleep(0.05)
    print(log.read_text(), file=sys.stderr)
    sys.exit("error: the host daemon did not start")


def demonstrate(home: Path, environment: dict[str, str], host: dict[str, str]) -> int:
    """Deploy the payroll, check the report, search the host's files."""
    print(f"# An untrusted host listens at {host['url']}. It has no part of the package.\n")
    key = home / "signing-key"
    key.write_bytes(os.urandom(32))
    command = [ENARX, "deploy", "--host", host["url"], "--simulated-root", host["simulated_root"], "--explain"]
    command += ["--secret", f"signing-key=@{key}", str(HERE / "payroll" / "payroll.wasm")]
    print("# The tenant attests a Keep there, and only then seals module, data and key to it:")
    print("$ " + " ".join(["enarx", *command[1:]]) + "\n", flush=True)
    found = subprocess.run(command, stdout=subprocess.PIPE, env=environment)
    report = found.stdout.decode()
    print("\n" + report)
    if found.returncode:
        return found.returncode
    body, _, tag = report.rpartition("hmac-sha256 ")
    if not hmac.compare_digest(tag.strip(), hmac.new(key.read_bytes(), body.encode(), hashlib.sha256).hexdigest()):
        print("error: the report's tag is not by the key that was sealed to the Keep", file=sys.stderr)
        return 1
    print("# The tag verifies: this report was computed by the program that was given the key.")
    return search(home, key.read_bytes())


def search(home: Path, key: bytes) -> int:
    """Require that no file of the host contains any of the data."""
    names = [line.split(",")[1].encode() for line in (HERE / "payroll/data/employees.csv").read_text().splitlines()[1:]]
    written = [path for path in [home / "host.log", *(home / "host").rglob("*")] if path.is_file()]
    for path in written:
        content = path.read_bytes()
        if any(secret in content for secret in (key, key.hex().encode(), *names)):
            print(f"error: {path} holds what the host should not have seen", file=sys.stderr)
            return 1
    print(f"# None of {len(names)} names, nor the key, is in any of the {len(written)} files that the host wrote.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
