"""Another release of Kubernetes than the pinned one: KUBERNETES=1.31.14.

Its Go module is written from Kubernetes' own go.mod and kept in the cache. There is no go.sum in
the repository for it: the content of a version never changes, and Go verifies it against its
checksum database.
"""

import json
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.cluster import binary, place
from tests.cluster.binary import Module
from tests.cluster.command import run
from tests.cluster.error import ClusterError
from tests.cluster.place import Place

VARIABLE = "KUBERNETES"
VERSION = re.compile(r"v?(1\.\d{1,2}\.\d{1,2})")
STAGING = "./staging/src/"
DOWNLOAD_LIMIT = 300.0


def _go_mod(version: str) -> str:
    download = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"]
    # Outside of this repository, whose go.mod files would be read.
    downloaded = run(["env", f"--chdir={place.cache()}", *download], within=DOWNLOAD_LIMIT)
    path = json.loads(downloaded.stdout)["GoMod"]
    return go_mod(version, json.loads(run(["go", "mod", "edit", "-json", path]).stdout))


def go_mod(version: str, parsed: Mapping[str, Any]) -> str:
    """Return a module that requires a release of Kubernetes.

    Kubernetes replaces its staging modules by relative paths, which hold in its own repository
    alone; each is replaced by its published version instead.

    Args:
        version: the release, such as 1.31.14.
        parsed: its go.mod, as `go mod edit -json` prints it.
    """
    staging = f"v0{version.removeprefix('1')}"
    required = [f"{each['Path']} {each['Version']}" for each in parsed["Require"]]
    replaced = [
        f"{each['Old']['Path']} => {each['Old']['Path']} {staging}"
        for each in parsed.get("Replace") or ()
        if each["New"]["Path"].startswith(STAGING)
    ]
    debug = [f"godebug {each['Key']}={each['Value']}" for each in parsed.get("Godebug") or ()]
    return "\n".join(
        [
            f"module taskruns.dev/kubernetes-{version}",
            f"go {parsed['Go']}",
            *debug,
            f"require k8s.io/kubernetes v{version}",
            *(f"require {each}" for each in required),
            *(f"replace {each}" for each in replaced),
            "",
        ]
    )


def of(version: str) -> Module:
    """Return the programs of a release; an empty version is the pinned one."""
    pinned = binary.KUBERNETES
    if version in ("", pinned.kubernetes):
        return pinned
    targets = tuple(f"k8s.io/kubernetes/cmd/{program}" for program in pinned.programs)
    return Module(
        pinned.name,
        pinned.programs,
        "about 6 min",
        targets,
        version=version,
        go_mod=partial(_go_mod, version),
    )


def requested(environ: Mapping[str, str] = os.environ) -> str:
    """Return the release that the user's environment selects, or an empty string.

    Raises:
        ClusterError: the variable is not a version.
    """
    value = environ.get(VARIABLE, "").strip()
    version_match = VERSION.fullmatch(value)
    if value and not version_match:
        raise ClusterError(f"{VARIABLE}={value!r} is not a release: write one such as 1.31.14")
    return version_match[1] if version_match else ""


def recorded(place: Place) -> Module:
    """Return the programs of a cluster: those that it was created with."""
    return of(place.kubernetes.read_text().strip() if place.kubernetes.exists() else "")


def record(place: Place) -> None:
    """Record the requested release for a new cluster, and keep that of an existing one.

    Raises:
        ClusterError: the cluster exists with another release than the requested one.
    """
    version = requested()
    if not place.slot.exists():
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.kubernetes.write_text(f"{of(version).kubernetes}\n")
    elif version and version != (running := recorded(place).kubernetes):
        raise ClusterError(
            f"cluster {place.name!r} runs Kubernetes {running}, not {version}: take it down "
            f"first (`python -m tests.cluster down --name {place.name}`), or choose another name"
        )
