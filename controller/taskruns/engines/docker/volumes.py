"""Conversion of a Pod's volumes into mounts of a container. Pure."""

from collections import Counter
from collections.abc import Mapping
from posixpath import normpath
from typing import Any

from taskruns.core.unstructured import mapping, mappings, text
from taskruns.engines.docker.fields import Unsupported, size_in_bytes


def mounts(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return Docker's Mounts of a container, without those that `binds` returns.

    A persistentVolumeClaim becomes the Docker volume of the same name.

    Raises:
        Unsupported: A volume or mount that Docker does not support.
    """
    volumes = {text(volume.get("name")): volume for volume in mappings(spec.get("volumes"))}
    for volume in volumes.values():
        _check(volume)
    mounted = mappings(main.get("volumeMounts"))
    counts = Counter(map(_name, mounted))
    for name, count in counts.items():
        if count > 1 and "emptyDir" in volumes.get(name, {}):
            raise Unsupported(f"volume {name}: an emptyDir that is mounted twice", "mount it once")
    return [
        _mount(mount, volumes.get(_name(mount)))
        for mount in mounted
        if not _is_created(volumes.get(_name(mount)))
    ]


def binds(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[str]:
    """Return Docker's Binds: the mounts of hostPath volumes whose missing folder is created.

    The older Binds are used instead of Mounts, because they create the folder on every version of
    the daemon.

    Raises:
        Unsupported: A path with a colon, which Binds cannot express.
    """
    volumes = {text(volume.get("name")): volume for volume in mappings(spec.get("volumes"))}
    return [
        _bind(mount, volumes[_name(mount)])
        for mount in mappings(main.get("volumeMounts"))
        if _is_created(volumes.get(_name(mount)))
    ]


def _bind(mount: Mapping[str, Any], volume: Mapping[str, Any]) -> str:
    source = text(mapping(volume.get("hostPath")).get("path"))
    target = text(mount.get("mountPath"))
    for path in (source, target):
        if ":" in path:
            raise Unsupported(
                f"the path {path!r} with a colon and a hostPath type",
                "create the folder, and leave the type out",
            )
    options = ("ro" if mount.get("readOnly") is True else "rw", _propagation(mount))
    return f"{source}:{target}:{','.join(filter(None, options))}"


def writable_folders(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[str]:
    """Return the mount paths of writable emptyDir volumes on disk.

    On a cluster every user may write into them; on Docker only root may until `Daemon.open_volumes`
    has changed their mode.
    """
    on_disk = {
        _name(volume)
        for volume in mappings(spec.get("volumes"))
        if "emptyDir" in volume and not _in_memory(volume)
    }
    return [
        normpath(text(mount.get("mountPath")))
        for mount in mappings(main.get("volumeMounts"))
        if _name(mount) in on_disk and mount.get("readOnly") is not True
    ]


def checked_paths(spec: Mapping[str, Any], main: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return type and host path of each hostPath that has a type, by mount path."""
    sources = {
        _name(volume): mapping(volume.get("hostPath")) for volume in mappings(spec.get("volumes"))
    }
    source_by_target = {
        normpath(text(mount.get("mountPath"))): sources.get(_name(mount), {})
        for mount in mappings(main.get("volumeMounts"))
    }
    return {
        target: (text(source["type"]), text(source.get("path")))
        for target, source in source_by_target.items()
        if source.get("type") not in (None, *_CREATED[:1])
    }


def _check(volume: Mapping[str, Any]) -> None:
    kinds = [kind for kind, value in volume.items() if kind != "name" and value is not None]
    for kind in kinds:
        if kind not in ("emptyDir", "hostPath", "persistentVolumeClaim"):
            raise Unsupported(
                f"volumes[{text(volume.get('name'))}].{kind}",
                "mount a folder of the host with hostPath, or run it on a cluster",
            )
    if len(kinds) > 1:
        raise Unsupported(f"volume {_name(volume)}: {' and '.join(kinds)}", "write one of them")


def _mount(mount: Mapping[str, Any], volume: Mapping[str, Any] | None) -> dict[str, Any]:
    name, path = _name(mount), text(mount.get("mountPath"))
    if volume is None:
        raise Unsupported(f"volumeMount {name}", f"volume {name} not found: add it to volumes")
    claim = mapping(volume.get("persistentVolumeClaim"))
    read_only = mount.get("readOnly") is True or claim.get("readOnly") is True
    common = {"Target": path, "ReadOnly": read_only}
    if "hostPath" in volume:
        source = text(mapping(volume.get("hostPath")).get("path"))
        propagation = _propagation(mount)
        options = {"BindOptions": {"Propagation": propagation}} if propagation else {}
        return {"Type": "bind", "Source": source, **common, **options}
    if mount.get("mountPropagation") not in (None, "", "None"):
        raise Unsupported(
            f"volumeMounts[{name}].mountPropagation {mount['mountPropagation']!r}",
            "only a hostPath supports it: leave it out",
        )
    if claim:
        return {"Type": "volume", "Source": text(claim.get("claimName")), **common}
    if not _in_memory(volume):
        return {"Type": "volume", **common, "VolumeOptions": {"NoCopy": True}}
    size = size_in_bytes(mapping(volume.get("emptyDir")).get("sizeLimit") or 0)
    limit = {"TmpfsOptions": {"SizeBytes": size}} if size else {}
    return {"Type": "tmpfs", **common, **limit}


_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
_CREATED = ("", "DirectoryOrCreate")
"""Types of a hostPath whose missing folder is created.

On a cluster the container runtime does so for the empty type. If `type` is not set, the path must
exist, because a misspelt path is more likely than a new folder.
"""


def _propagation(mount: Mapping[str, Any]) -> str | None:
    return _PROPAGATION.get(text(mount.get("mountPropagation")))


def _is_created(volume: Mapping[str, Any] | None) -> bool:
    return mapping(mapping(volume).get("hostPath")).get("type") in _CREATED


def _in_memory(volume: Mapping[str, Any]) -> bool:
    return mapping(volume.get("emptyDir")).get("medium") == "Memory"


def _name(item: Mapping[str, Any]) -> str:
    return text(item.get("name"))
