"""Installation of the Debian packages that a node needs, without starting their services."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.cluster import place
from tests.cluster.command import run_long
from tests.cluster.error import ClusterError
from tests.cluster.lock import held
from tests.cluster.progress import Progress

# Each package with a file that exists if it is installed by any means.
NODE = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "iptables",
    "iproute2": "ip",
    "conntrack": "conntrack",
    "socat": "socat",
    "busybox-static": "/bin/busybox",
    "openssl": "openssl",
}
BUILD = {
    "docker.io": "dockerd",
    "mmdebstrap": "mmdebstrap",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
}
# Part of docker.io in Debian 12, a package of its own in later releases.
CLIENT = {"docker-cli": "docker"}
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
POLICY = Path("/usr/sbin/policy-rc.d")
NO_SERVICE = """#!/bin/sh
# Services stay off while the test cluster of taskruns installs packages.
exit 101
"""
LIMIT = 15 * 60.0


def missing(packages: Mapping[str, str]) -> list[str]:
    search = f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}"
    return [
        name
        for name, mark in packages.items()
        if not (Path(mark).exists() if mark.startswith("/") else shutil.which(mark, path=search))
    ]


def can_install() -> bool:
    return not os.geteuid() and shutil.which("apt-get") is not None


def require_root() -> None:
    if os.geteuid():
        raise ClusterError(
            "root is required, for mounts, bridges and control groups: run this for example with "
            "`sudo --preserve-env=PATH`"
        )


def install(packages: Mapping[str, str], progress: Progress) -> None:
    """Install missing packages with apt; if that is impossible, report which to install."""
    absent = missing(packages)
    if not absent:
        return
    if not can_install():
        raise ClusterError(
            f"not installed (names of Debian packages): {', '.join(absent)}. Install them; as root "
            "on Debian, this command does it"
        )
    with held(place.state() / ".packages.lock", "apt-get", progress):
        absent = missing(packages)
        if absent:
            progress.say(f"installing {' '.join(absent)} by apt-get (cold: about 30 s)")
            _install(absent, progress)
    if absent := missing(packages):
        raise ClusterError(f"apt-get succeeded, but these files do not exist: {', '.join(absent)}")


def _install(names: Iterable[str], progress: Progress) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0", "-y", "-q"]
    recommended = "--no-install-recommends"
    added = _forbid_services()
    try:
        for step in (["update"], ["install", recommended, *names]):
            run_long(
                ["apt-get", *options, *step],
                task=f"apt-get {step[0]}",
                log=place.state() / f"apt-{step[0]}.log",
                progress=progress,
                within=LIMIT,
                env=quiet,
            )
    finally:
        if added:
            POLICY.unlink(missing_ok=True)


def _forbid_services() -> bool:
    """Create policy-rc.d, which keeps Debian from starting installed daemons.

    Returns:
        Whether the file was created; an existing file is kept.
    """
    try:
        with POLICY.open("x") as file:
            file.write(NO_SERVICE)
    except FileExistsError:
        return False
    POLICY.chmod(0o755)
    return True
