"""`make audit` distinguishes a clean lock, a vulnerable one, and one that was not audited."""

import json
import subprocess

import pytest

from tools import audit

Done = subprocess.CompletedProcess[str]
PACKAGE = {"name": "attrs", "version": "1.0", "vulns": []}
VULNERABLE = {
    "name": "aiohttp",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
NO_CONNECTION = Done([], 1, "", "WARNING:x:y\nERROR:pip_audit._cli:Could not connect to the feed\n")


def _reported(*packages: object) -> Done:
    vulnerable = any(package != PACKAGE for package in packages)
    return Done([], int(vulnerable), json.dumps({"dependencies": packages, "fixes": []}), "")


def test_a_lock_without_known_vulnerabilities_is_clean() -> None:
    code, lines = audit.audit("a.txt", lambda *_: _reported(PACKAGE, PACKAGE))
    assert (code, lines) == (
        audit.CLEAN,
        ["a.txt: 2 packages, by the vulnerability service pypi: no known vulnerability"],
    )


def test_every_vulnerability_is_printed() -> None:
    code, lines = audit.audit("a.txt", lambda *_: _reported(PACKAGE, VULNERABLE))
    assert code == audit.VULNERABLE
    assert lines[1:] == [
        "  aiohttp 1.0: PYSEC-1, fixed in 1.1",
        "  aiohttp 1.0: PYSEC-2, fixed in no version",
    ]


def test_the_second_service_is_tried_when_the_first_does_not_answer() -> None:
    code, (line,) = audit.audit(
        "a.txt", lambda _, service: NO_CONNECTION if service == "pypi" else _reported(PACKAGE)
    )
    assert code == audit.CLEAN
    assert "service osv" in line


@pytest.mark.parametrize("output", ["", "[]", "no JSON", '{"fixes": []}'])
def test_a_lock_that_was_not_audited_is_reported_as_such(output: str) -> None:
    done = Done([], 1, output, NO_CONNECTION.stderr)
    code, (line, *errors) = audit.audit("a.txt", lambda *_: done)
    assert code == audit.UNREACHABLE
    assert line.startswith("a.txt: NOT AUDITED: no vulnerability service could be reached.")
    assert errors == [
        f"  {service}: ERROR:pip_audit._cli:Could not connect to the feed"
        for service in audit.SERVICES
    ]
