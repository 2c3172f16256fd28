"""When an image is pulled, and how far a pull has come. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from taskruns.core.unstructured import mapping, number, text

_HERE = ("Download complete", "Verifying Checksum", "Extracting", "Pull complete")


def pull_policy(image: str) -> str:
    """Return the imagePullPolicy of an image that has none, as the apiserver defaults it.

    It is Always for the tag latest, or for none, and otherwise IfNotPresent; so it is for an image
    that is named by its digest or its ID.
    """
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    is_id = re.fullmatch("[0-9a-f]{64}", image) is not None
    return "Always" if tag == "latest" or not (tag or "@" in image or is_id) else "IfNotPresent"


class Pull:
    """One pull; its text is what a person who waits for it may read."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, tuple[int, int]] = {}
        self._percent = 0

    def note(self, told: Mapping[str, Any]) -> None:
        """Take notice of what the daemon tells of a layer."""
        layer, status = text(told.get("id")), text(told.get("status"))
        detail = mapping(told.get("progressDetail"))
        total = number(detail.get("total"))
        if status == "Downloading" and total:
            self._layers[layer] = (number(detail.get("current")) or 0, total)
        elif status in _HERE and layer in self._layers:
            self._layers[layer] = (self._layers[layer][1],) * 2
        if self._layers:
            here, whole = (sum(part) for part in zip(*self._layers.values(), strict=True))
            self._percent = max(self._percent, here * 100 // whole)  # more may come to be known

    @override
    def __str__(self) -> str:
        return f"pulling {self._image}" + (f": {self._percent} %" if self._layers else "")
