"""No committed file names a registry or a user's machine, or contains a merge conflict.

Without git, as in a source archive, all files are checked that `.gitignore` does not name.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
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
    """Return the files in git's index, or an empty list if there is no git."""
    if not (ROOT / ".git").exists():  # an archive may lie in a folder of another repository
        return []
    command = ["git", "ls-files", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _present() -> list[Path]:
    """Return all files of the tree; a pattern of `.gitignore` excludes folders at any depth."""
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())]
    found: list[Path] = []
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [
            name for name in subfolders if not any(fnmatch(name, each) for each in ignored)
        ]
        found += [Path(folder, name) for name in files if name not in ignored]
    return found


def _offences(path: Path) -> Iterator[str]:
    text = path.read_bytes().decode(errors="replace")
    place = path.relative_to(ROOT)
    yield from (f"{place}: package registry {host}" for host in REGISTRIES if host in text)
    yield from (f"{place}: path of one machine {match[0]}" for match in PLACES.finditer(text))
    yield from (f"{place}: merge conflict {match[0]}" for match in CONFLICT.finditer(text))


def test_no_committed_file_names_a_registry_or_a_machine() -> None:
    files = _committed() or _present()
    assert len(files) > 500
    offences = [offence for path in files for offence in _offences(path)]
    assert not offences, "\n".join(offences)


def test_all_committed_files_are_checked_without_git() -> None:
    assert set(_committed()) <= set(_present())


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", ">>>>>>> 1a2b3c4 (Say it)", "|||||||"])
def test_what_git_writes_into_a_conflict_is_known(line: str) -> None:
    assert CONFLICT.findall(f"before\n{line}\nafter\n")
