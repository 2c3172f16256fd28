"""DockerOperator's mounts as volumes of a Pod, with the places where they are mounted."""

from collections.abc import Iterator, Mapping
from typing import Any

from taskruns_airflow.compat.docker_environment import TMP_DIR
from taskruns_airflow.compat.docker_values import bytes_of, is_templated
from taskruns_airflow.manifest import Object

Volume = tuple[Object, Object]
"""A core/v1 Volume and its VolumeMount."""

_SHM = "/dev/shm"  # noqa: S108  # of the container
_API_NAMES = {
    "target": "Target",
    "source": "Source",
    "type": "Type",
    "read_only": "ReadOnly",
    "no_copy": "NoCopy",
    "tmpfs_size": "SizeBytes",
}
_KNOWN_LATER = "template"
_OPTIONS = ("BindOptions", "VolumeOptions", "TmpfsOptions")
_KINDS = ("bind", "volume", "tmpfs")


def volumes(given: Mapping[str, Any]) -> Iterator[Volume]:
    """Yield the volumes that the arguments ask for.

    Raises:
        ValueError: a mount cannot be had; the message names it by its target.
    """
    yield from mounted(given["mounts"])
    if given["mount_tmp_dir"]:
        yield _volume("tmp", str(given["tmp_dir"] or TMP_DIR), emptyDir={})
    size = shm_size(given["shm_size"])
    if size and given["ipc_mode"] != "host":  # whose /dev/shm is the host's
        yield _volume("shm", _SHM, emptyDir={"medium": "Memory", "sizeLimit": str(size)})


def mounted(mounts: Any) -> Iterator[Volume]:
    """Yield the volumes of `mounts`."""
    if mounts is not None and not isinstance(mounts, list | tuple):
        raise ValueError("mounts: write a list of Mount, or of its arguments as dicts")
    for number, mount in enumerate(mounts or ()):
        if not isinstance(mount, Mapping):
            raise ValueError(  # noqa: TRY004  # as every refusal
                f"mounts: item {number}: write a Mount, or its arguments as a dict"
            )
        yield _mounted(f"mount-{number}", _by_api_names(mount))


def check_mounts(mounts: Any) -> None:
    """Read what is known of `mounts` when a DAG is parsed; a template may still be anything.

    Raises:
        ValueError: as `volumes`.
    """
    if not isinstance(mounts, list | tuple):
        if not is_templated(mounts):
            list(mounted(mounts))
        return
    for mount in mounts:
        known = dict(mount) if isinstance(mount, Mapping) else mount
        for place in ("target", "source", "Target", "Source"):
            if isinstance(known, dict) and is_templated(known.get(place)):
                known[place] = _KNOWN_LATER
        if not is_templated(known):
            list(mounted([known]))


def shm_size(value: Any) -> int:
    """Return the bytes of /dev/shm; 0: Docker's own default."""
    return 0 if value is None else bytes_of("shm_size", value)


def _by_api_names(mount: Mapping[str, Any]) -> Object:
    """Return a mount by the names of the Engine API; what asks for nothing is left out."""
    found = {_API_NAMES.get(key, key): value for key, value in mount.items()}
    for options in _OPTIONS:
        found |= dict(found.pop(options, None) or {})
    return {key: value for key, value in found.items() if value}


def _mounted(name: str, mount: Object) -> Volume:
    target, source = mount.pop("Target", None), mount.pop("Source", None)
    kind, read_only = mount.pop("Type", "volume"), mount.pop("ReadOnly", False)
    if not isinstance(target, str):
        raise ValueError("mounts: each needs its path in the container: target")  # noqa: TRY004
    where = f"mounts: {target}"
    if kind not in _KINDS:
        raise ValueError(f"{where}: type {kind!r}: write {', '.join(_KINDS)}")
    if source is not None and not isinstance(source, str):
        raise ValueError(f"{where}: source: write a text")
    source_of = {"bind": _folder, "volume": _volume_of_docker, "tmpfs": _in_memory}[kind]
    volume = source_of(where, source, mount)
    if mount:
        raise ValueError(f"{where}: {', '.join(map(_argument, mount))}: leave it out")
    made, place = _volume(name, target, **volume)
    return made, place | ({"readOnly": True} if read_only else {})


def _folder(where: str, source: str | None, _: Object) -> Object:
    if not source:
        raise ValueError(f"{where}: a bind mount needs the path on the host: source")
    return {"hostPath": {"path": source}}


def _volume_of_docker(where: str, source: str | None, mount: Object) -> Object:
    if source:
        return {"persistentVolumeClaim": {"claimName": source}}
    if not mount.pop("NoCopy", False):
        raise ValueError(
            f"{where}: a volume without a source would begin with the image's files: "
            "name a volume (source), or write no_copy=True for an empty one"
        )
    return {"emptyDir": {}}


def _in_memory(where: str, source: str | None, mount: Object) -> Object:
    if source:
        raise ValueError(f"{where}: a tmpfs mount has no source: leave it out")
    size = bytes_of(f"{where}: tmpfs_size", mount.pop("SizeBytes", 0))
    return {"emptyDir": {"medium": "Memory"} | ({"sizeLimit": str(size)} if size else {})}


def _argument(key: str) -> str:
    """Return the name of a mount's argument; the Engine API's, where Mount has none."""
    return next((name for name, api_name in _API_NAMES.items() if api_name == key), key)


def _volume(name: str, path: str, **source: Any) -> Volume:
    return {"name": name, **source}, {"name": name, "mountPath": path}
