"""`make audit`: search the locks for packages with known vulnerabilities, by pip-audit.

Exit codes: 0 none is known; 1 some are; 2 no vulnerability service could be reached, so nothing was
audited.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / ".build" / "release" / "bin" / "pip-audit"
LOCKS = ("requirements/controller.txt",)
SERVICES = ("pypi", "osv")
"""Vulnerability services, in the order in which they are tried."""
SECONDS = 15
"""Limit for one connection."""
CLEAN, VULNERABLE, UNREACHABLE = 0, 1, 2

Audit = Callable[[str, str], "subprocess.CompletedProcess[str]"]


def pip_audit(lock: str, service: str) -> "subprocess.CompletedProcess[str]":
    """Run pip-audit for a lock and a vulnerability service; the report is JSON."""
    hashed = ["--require-hashes", "--disable-pip", "--requirement", str(ROOT / lock)]
    asked = ["--vulnerability-service", service, "--timeout", str(SECONDS)]
    printed = ["--format", "json", "--progress-spinner", "off"]
    return subprocess.run(
        [PROGRAM, *hashed, *asked, *printed], capture_output=True, text=True, check=False
    )


def audit(lock: str, run: Audit = pip_audit) -> tuple[int, list[str]]:
    """Audit one lock.

    Args:
        lock: path below the repository.
        run: runs pip-audit.

    Returns:
        tuple[int, list[str]]: the exit code, and the lines to print.
    """
    errors = []
    for service in SERVICES:
        done = run(lock, service)
        report = _report(done.stdout)
        if report is not None:
            found = [*_vulnerabilities(report)]
            audited = f"{lock}: {len(report)} packages, by the vulnerability service {service}"
            if found:
                return VULNERABLE, [f"{audited}: {len(found)} known vulnerabilities", *found]
            return CLEAN, [f"{audited}: no known vulnerability"]
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        errors.append(f"  {service}: {last}")
    failed = f"{lock}: NOT AUDITED: no vulnerability service could be reached"
    return UNREACHABLE, [f"{failed}. Repeat the command where one can.", *errors]


def _report(output: str) -> list[dict[str, Any]] | None:
    """Return the packages of a report, or None if pip-audit has ended without one."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return packages


def _vulnerabilities(packages: Sequence[dict[str, Any]]) -> Iterator[str]:
    for package in packages:
        for found in package.get("vulns", ()):
            fixed = ", ".join(found.get("fix_versions", ())) or "no version"
            yield f"  {package['name']} {package['version']}: {found['id']}, fixed in {fixed}"


def main(locks: Sequence[str]) -> int:
    """Audit locks, by default those of what is published; return the highest exit code."""
    code = CLEAN
    for lock in locks or LOCKS:
        result, lines = audit(lock)
        print("\n".join(lines))
        code = max(code, result)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
