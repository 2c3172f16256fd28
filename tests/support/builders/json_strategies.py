"""Hypothesis strategies for arbitrary JSON in the place of TaskRuns and Pods.

Lone surrogates are left out, because the apiserver's JSON never contains them.
"""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    an_ended_status,
    container_status,
    disrupted,
    ended,
    running,
    stamp,
    waiting,
)

TIMES = st.sampled_from(
    [
        stamp(0),
        stamp(5),
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "1970-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00",
        "yesterday",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 2, 128, 2**31, -(2**63), 10**40, 0.5, 1e308, True])
TEXTS = st.sampled_from(
    [
        "",
        "main",
        "Running",
        "Succeeded",
        "Failed",
        "\x00",
        "ü\N{REPLACEMENT CHARACTER}",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "x" * 5000,
        "1" * 400,
        "30s",
        "1e9h",
        "taskruns.dev/claim",
        "{}",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXTS,
    TIMES,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)

RUNS: list[dict[str, Any]] = [
    a_run(),
    a_run(status=a_claimed_status()),
    a_run(status=a_claimed_status("Stopping", attempts=[a_record(stopTime=stamp(3))]), cancel=True),
    a_run(
        status=a_claimed_status("BackingOff", attempts=[a_record(outcome="Failed")]),
        backoffLimit=2,
        backoff={"duration": "1s", "factor": 2, "cap": "1m"},
        activeDeadlineSeconds=60,
        attemptDeadlineSeconds=30,
    ),
    a_run(status=an_ended_status(), podGC={"strategy": "Never"}, ttlSecondsAfterFinished=0),
    a_run(
        template={
            "metadata": {"labels": {"a": "b"}, "annotations": {}},
            "spec": {"containers": [{"name": "main", "env": []}], "tolerations": [], "os": {}},
        },
        env=[{"name": "A", "value": "1"}],
        volumes=[{"name": "data"}],
    ),
]
PODS: list[dict[str, Any]] = [
    a_pod(gated=True),
    a_pod(),
    a_pod(main=waiting("ImagePullBackOff")),
    a_pod(main=running()),
    a_pod(main=ended(0, message="result")),
    a_pod(main=ended(137, reason="OOMKilled"), conditions=[disrupted("DeletionByPodGC")]),
    a_pod(initContainerStatuses=[container_status("fetch", ended(7))], phase="Failed"),
    a_pod(number=2, gated=True, metadata={"deletionTimestamp": stamp(3)}),
]


ODDITIES: list[Any] = [None, True, -1, 10**40, 1e308, "", "odd", "\x00", [], [[]], {}, {"odd": 1}]


def with_one_oddity(found: Any) -> Iterator[Any]:
    """Yield every copy of an object in which one value, at any depth, is replaced."""
    yield from ODDITIES
    if isinstance(found, dict):
        for key, value in found.items():
            yield {other_key: found[other_key] for other_key in found if other_key != key}
            for odd in with_one_oddity(value):
                yield {**found, key: odd}
    elif isinstance(found, list):
        for index, value in enumerate(found):
            for odd in with_one_oddity(value):
                yield [*found[:index], odd, *found[index + 1 :]]


@st.composite
def distorted(draw: st.DrawFn, objects: list[dict[str, Any]]) -> Any:
    """Draw a realistic object in which a few values have been replaced, added or removed."""
    distortion = _copy(draw(st.sampled_from(objects)))
    for _ in range(draw(st.integers(0, 4))):
        _distort(draw, distortion)
    return distortion


def _distort(draw: st.DrawFn, found: dict[str, Any]) -> None:
    place: Any = found
    for _ in range(draw(st.integers(0, 5))):
        inner = [value for value in _values(place) if isinstance(value, dict | list) and value]
        if not inner:
            break
        place = draw(st.sampled_from(inner))
    if isinstance(place, list):
        place[draw(st.integers(0, len(place) - 1))] = draw(JSON)
        return
    key = draw(st.sampled_from(sorted(place) or ["odd"]))
    if draw(st.booleans()):
        place[key] = draw(JSON)
    else:
        place.pop(key, None)


def _values(place: Any) -> list[Any]:
    return list(place.values()) if isinstance(place, dict) else list(place)


def _copy(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _copy(value) for key, value in found.items()}
    return [_copy(value) for value in found] if isinstance(found, list) else found
