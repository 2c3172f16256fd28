"""No committed file names a registry or a user's machine, or contains a merge conflict."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("registry", "npmjs", "org"),
        ("crates", "io"),
        ("deb", "debian", "org"),
        ("maven", "org"),
    )
]
"""Hosts of package registries, in parts, so that this file passes its own test."""

CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: |$)", re.MULTILINE)
PLACES = re.compile(rf"{re.escape(str(ROOT))}\b|/(?:home|Users|work)/[a-z]")


def _committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", _committed(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_committed_file_belongs_to_no_registry_and_no_machine(path: Path) -> None:
    text = path.read_bytes().decode(errors="replace")
    assert [host for host in REGISTRIES if host in text] == []
    assert PLACES.findall(text) == []
    assert CONFLICT.findall(text) == []


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", ">>>>>>> 1a2b3c4 (Say it)", "|||||||"])
def test_what_git_writes_into_a_conflict_is_known(line: str) -> None:
    assert CONFLICT.findall(f"before\n{line}\nafter\n")
