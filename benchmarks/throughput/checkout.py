"""Files of another commit, which a controller can be started from.

Packages come from this checkout's environment: a commit that needs others cannot be compared.
"""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("controller", "crds")


def resolve(revision: str) -> str:
    """Return the full hash of a revision.

    Raises:
        ValueError: git knows no such commit.
    """
    command = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed program
    if done.returncode:
        raise ValueError(f"git knows no commit {revision!r}: give a hash, a branch or a tag")
    return done.stdout.strip()


def extract(commit: str, folder: Path) -> Path:
    """Write the controller and the CRD of a commit below a folder, unless they are there.

    Returns:
        The folder that stands for the checkout.
    """
    target = folder / commit[:12]
    if target.exists():
        return target
    command = ["git", "archive", "--format=tar", commit, *PARTS]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)  # noqa: S603 - a fixed program
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(partial, filter="data")
    partial.rename(target)
    return target
