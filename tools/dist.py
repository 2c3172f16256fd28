"""`make dist`: build everything that a release publishes, into dist/.

Wheels of both distributions, the chart's package, the controller's image as an archive, the bill of
materials of that image's Python packages (CycloneDX), and the checksums of all of these.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import ClusterError
from tests.cluster.image_build import BASE, ImageBuild
from tests.cluster.progress import Progress
from tools import helm

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = (ROOT, ROOT / "provider")
CHART = ROOT / "charts" / "taskruns"
LOCK = ROOT / "requirements" / "controller.txt"
SBOM_PROGRAM = ROOT / ".build" / "release" / "bin" / "cyclonedx-py"
IMAGE = "taskruns/controller"
CHECKSUMS = "SHA256SUMS"


def version() -> str:
    """Return the version of taskruns, which all parts of a release share."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def wheels(folder: Path) -> None:
    """Build the wheels, with the build backend of requirements/build.txt."""
    for source in DISTRIBUTIONS:
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
        _run([*build, "--directory", str(folder)], source)


def chart(folder: Path) -> None:
    """Package the chart."""
    helm.build()
    _run([str(helm.PROGRAM), "package", str(CHART), "--destination", str(folder)], ROOT)


def sbom(folder: Path) -> None:
    """Write the bill of materials of the image's Python packages."""
    target = folder / f"taskruns-controller-{version()}.cdx.json"
    described = ["--pyproject", "pyproject.toml", "--mc-type", "application"]
    reproducible = ["--output-reproducible", "--output-file", str(target)]
    _run([str(SBOM_PROGRAM), "requirements", *described, *reproducible, str(LOCK)], ROOT)


def image(folder: Path, base: str, progress: Progress) -> None:
    """Build the controller's image, and save it as `docker save` does.

    Args:
        folder: folder of the archive.
        base: the base image; empty: one of Debian packages, which needs no container registry.
        progress: receives progress lines.
    """
    target = folder / f"taskruns-controller-{version()}.image.tar"
    arguments = {BASE: base} if base else {}
    build = ImageBuild(f"{IMAGE}:{version()}", ROOT, build_args=arguments)
    build.run(
        loaded=lambda _: False,
        load=lambda _, saved: _move(saved, target),
        progress=progress,
    )


def _move(saved: Path, target: Path) -> None:
    shutil.move(saved, target)
    target.chmod(0o644)


def checksums(folder: Path) -> None:
    """Write the SHA-256 sums of all files, in the format of `sha256sum --check`."""
    lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("".join(lines))


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _run(command: Sequence[str], cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Build a release; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.dist", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "dist", help="default: dist")
    parser.add_argument("--base", default="", help="the image's base, such as python:3.13-slim")
    parser.add_argument("--without-image", action="store_true", help="an image needs root")
    args = parser.parse_args(argv)
    progress = Progress()
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    try:
        for step in (wheels, chart, sbom):
            progress.say(f"building: {step.__name__}")
            step(args.folder)
        if not args.without_image:
            image(args.folder, args.base, progress)
    except (ClusterError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    checksums(args.folder)
    print((args.folder / CHECKSUMS).read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
