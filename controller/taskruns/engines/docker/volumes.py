"""Volumes of a Pod as mounts of a container. Pure."""

from collections.abc import Mapping
from typing import Any

from taskruns.core.quantities import read_quantity
from taskruns.core.wire import mapping, mappings, text
from taskruns.engines.docker.unsupported import Unsupported


def mounts(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a container's mounts; a claim is the volume of its name that Docker keeps.

    Raises:
        Unsupported: a volume that Docker does not have.
    """
    volumes = {text(volume.get("name")): volume for volume in mappings(spec.get("volumes"))}
    for volume in volumes.values():
        _check(volume)
    return [
        _mount(found, volumes.get(text(found.get("name"))))
        for found in mappings(main.get("volumeMounts"))
    ]


def _check(volume: Mapping[str, Any]) -> None:
    for kind in volume:
        if kind not in ("name", "emptyDir", "hostPath", "persistentVolumeClaim"):
            raise Unsupported(
                f"volume {text(volume.get('name'))}: {kind}",
                "mount a folder of the host with hostPath, or run it on a cluster",
            )


def _mount(found: Mapping[str, Any], volume: Mapping[str, Any] | None) -> dict[str, Any]:
    name, path = text(found.get("name")), text(found.get("mountPath"))
    if volume is None:
        raise Unsupported(f"volumeMount {name}", f"there is no volume {name}: add it to volumes")
    for part in ("subPath", "subPathExpr"):
        if found.get(part):
            raise Unsupported(f"volumeMount {name}: {part}", "mount the folder itself")
    claim = mapping(volume.get("persistentVolumeClaim"))
    read_only = found.get("readOnly") is True or claim.get("readOnly") is True
    common = {"Target": path, "ReadOnly": read_only}
    if claim:
        return {"Type": "volume", "Source": text(claim.get("claimName")), **common}
    if "hostPath" in volume:
        source = text(mapping(volume.get("hostPath")).get("path"))
        return {"Type": "bind", "Source": source, **common}
    empty = mapping(volume.get("emptyDir"))
    if empty.get("medium") != "Memory":
        return {"Type": "volume", **common}
    size = read_quantity(str(empty.get("sizeLimit", "")))
    options = {} if size is None else {"TmpfsOptions": {"SizeBytes": int(size)}}
    return {"Type": "tmpfs", **common, **options}
