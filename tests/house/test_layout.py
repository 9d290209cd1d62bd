"""Tests lie at the path of their module, or SHARED names the place (CONTRIBUTING.md, "Tests")."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tests.house.test_invariants import ROOT, SRC, modules, zone

TESTS = ROOT / "tests"

SHARED = {
    "api/": "tests/api",
    "cli/": "tests/cli",
    "delivery/": "tests/delivery",
    "endorsements/": "tests/endorsements",
    "formats/bundle.py": "tests/formats/test_endorsements.py",
    "formats/config_file.py": "tests/formats/test_config.py",
    "formats/evidence/families/azure.py": "tests/verify/families/test_azure.py",
    "formats/evidence/families/tpm.py": "tests/verify/kinds/tpm",
    "formats/template.py": "tests/formats/test_config.py",
    "host/": "tests/host/test_daemon.py",
    "host/backends/": "tests/host/test_backends.py",
    "host/backends/process/": "tests/host/test_process_backend.py",
    "host/http/": "tests/host/test_connections.py",
    "host/http/access.py": "tests/host/test_access.py",
    "host/http/certificates.py": "tests/host/test_access.py",
    "host/http/doors.py": "tests/host/test_tenants.py",
    "host/http/openapi.py": "tests/host/test_openapi.py",
    "host/http/requests.py": "tests/host/test_requests.py",
    "host/http/schemas.py": "tests/host/test_openapi.py",
    "host/launcher/": "tests/host/test_launcher.py",
    "host/state/": "tests/host/test_restart.py",
    "host/state/stored.py": "tests/host/test_finished.py",
    "host/supervisor/": "tests/host/test_supervisor.py",
    "image/launch/events.py": "tests/image/launch/test_tdx.py",
    "image/launch/hashes.py": "tests/image/launch/test_sev.py",
    "image/launch/kernel.py": "tests/image/launch/test_tdx.py",
    "image/launch/keys.py": "tests/image/launch/test_idblock.py",
    "image/launch/registers.py": "tests/image/launch/test_tdx.py",
    "image/launch/search_boot.py": "tests/image/launch/test_search.py",
    "image/launch/search_images.py": "tests/image/launch/test_search.py",
    "image/launch/snp.py": "tests/image/launch/test_sev.py",
    "image/launch/vmsa.py": "tests/image/launch/test_sev.py",
    "keep/core/": "tests/keep/core/test_machine.py",
    "keep/sandbox/": "tests/keep/sandbox/test_layers.py",
    "simulator/main.py": "tests/simulator/test_service.py",
    "tenant/": "tests/tenant",
    "verify/appraise.py": "tests/verify/test_rules.py",
    "verify/certificates.py": "tests/verify/families/test_intel.py",
    "verify/examination.py": "tests/verify/kinds/simulated/test_simulated.py",
    "verify/families/amd.py": "tests/verify/kinds/snp",
    "verify/families/azure_claims.py": "tests/verify/families/test_azure.py",
    "verify/families/intel/": "tests/verify/families/test_intel.py",
    "verify/kinds/": "tests/verify/kinds",
    "verify/matchers.py": "tests/verify/test_policy.py",
    "verify/policy_template.py": "tests/verify/test_policy_file.py",
    "verify/result.py": "tests/verify/kinds/simulated/test_simulated.py",
    "verify/revocation.py": "tests/verify/families/test_intel.py",
    "verify/roots.py": "tests/verify/test_registry.py",
    "verify/times.py": "tests/verify/test_expiry.py",
    "verify/unused.py": "tests/verify/kinds/snp",
    "verify/values.py": "tests/verify/test_policy.py",
}
"""The tests of modules without a test file of their own. A directory stands for all such modules below it."""

ACROSS = {"attacks", "chaos", "compat", "e2e", "forge", "fuzz", "house", "packaging", "vectors", "wasi"}
"""Folders of tests that belong to no package. CONTRIBUTING.md explains each."""


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def own_tests(name: str) -> Path:
    """The path of a module's own tests; those of an __init__.py are named after the package."""
    path = PurePosixPath(name)
    path = path.parent if path.name == "__init__.py" else path.with_suffix("")
    return TESTS / path.parent / f"test_{path.name}.py"


def needing_tests() -> list[str]:
    """All modules except __init__.py and __main__.py."""
    return [name_of(p) for p in modules() if p.name not in ("__init__.py", "__main__.py")]


def shared(name: str) -> list[str]:
    return [entry for entry in SHARED if name == entry or (entry.endswith("/") and name.startswith(entry))]


@pytest.mark.parametrize("name", needing_tests())
def test_each_module_has_its_tests(name: str) -> None:
    assert own_tests(name).is_file() or shared(name), f"{name}: no {own_tests(name).relative_to(ROOT)}, not in SHARED"


@pytest.mark.parametrize("entry", SHARED)
def test_entries_are_needed_and_lead_to_tests(entry: str) -> None:
    covered = [name for name in needing_tests() if entry in shared(name)]
    assert any(not own_tests(name).is_file() for name in covered), f"{entry}: remove it, nothing needs it"
    target = ROOT / SHARED[entry]
    files = [target] if target.suffix == ".py" else list(target.rglob("test_*.py"))
    assert any("\ndef test_" in path.read_text() or "\nasync def test_" in path.read_text() for path in files)


def test_each_zone_has_its_folder_and_each_folder_its_zone() -> None:
    zones = {zone(path) for path in modules() if not zone(path).endswith(".py")}
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == zones | ACROSS


def test_contributors_are_told_of_the_other_folders() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert not [folder for folder in ACROSS if f"`tests/{folder}/`" not in text]


def test_the_path_of_a_modules_tests() -> None:
    assert own_tests("formats/launch/eif.py") == TESTS / "formats/launch/test_eif.py"
    assert own_tests("keep/core/__init__.py") == TESTS / "keep/test_core.py"
    assert own_tests("files.py") == TESTS / "test_files.py"
