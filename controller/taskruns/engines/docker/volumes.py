"""Volumes of a Pod as mounts of a container. Pure."""

from collections import Counter
from collections.abc import Mapping
from posixpath import normpath
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
    mounted = mappings(main.get("volumeMounts"))
    counts = Counter(map(_name, mounted))
    for name, count in counts.items():
        if count > 1 and "emptyDir" in volumes.get(name, {}):
            raise Unsupported(f"volume {name}: an emptyDir that is mounted twice", "mount it once")
    return [_mount(found, volumes.get(_name(found))) for found in mounted]


def folders_for_anybody(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[str]:
    """Return where a cluster lets any user write and Docker root alone: empty folders on disk."""
    on_disk = {
        _name(volume)
        for volume in mappings(spec.get("volumes"))
        if "emptyDir" in volume and not _in_memory(volume)
    }
    return [
        normpath(text(found.get("mountPath")))
        for found in mappings(main.get("volumeMounts"))
        if _name(found) in on_disk and found.get("readOnly") is not True
    ]


def _check(volume: Mapping[str, Any]) -> None:
    for kind in volume:
        if kind not in ("name", "emptyDir", "hostPath", "persistentVolumeClaim"):
            raise Unsupported(
                f"volume {text(volume.get('name'))}: {kind}",
                "mount a folder of the host with hostPath, or run it on a cluster",
            )


def _mount(found: Mapping[str, Any], volume: Mapping[str, Any] | None) -> dict[str, Any]:
    name, path = _name(found), text(found.get("mountPath"))
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
    if not _in_memory(volume):
        return {"Type": "volume", **common, "VolumeOptions": {"NoCopy": True}}
    size = read_quantity(str(mapping(volume.get("emptyDir")).get("sizeLimit", "")))
    options = {} if size is None else {"TmpfsOptions": {"SizeBytes": int(size)}}
    return {"Type": "tmpfs", **common, **options}


def _in_memory(volume: Mapping[str, Any]) -> bool:
    return mapping(volume.get("emptyDir")).get("medium") == "Memory"


def _name(found: Mapping[str, Any]) -> str:
    return text(found.get("name"))
