"""Names of Pods: one per run and attempt, valid, and a pure function of both."""

import re

from hypothesis import given
from hypothesis import strategies as st

from taskruns.api import names

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""RFC 1123 subdomain, as the apiserver checks the names of TaskRuns and Pods."""

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

run_names = st.from_regex(SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= 63)
uids = st.uuids().map(str)
attempts = st.integers(1, 1_000_000)


@given(run_names, uids, attempts)
def test_a_pod_name_is_valid_and_fits_a_label(run: str, uid: str, attempt: int) -> None:
    name = names.pod_name(run, uid, attempt)
    assert len(name) <= names.MAX_LABEL_LENGTH
    assert SUBDOMAIN.fullmatch(name)
    assert LABEL_VALUE.fullmatch(name)


@given(run_names, uids, attempts)
def test_a_pod_name_depends_only_on_run_and_attempt(run: str, uid: str, attempt: int) -> None:
    assert names.pod_name(run, uid, attempt) == names.pod_name(run, uid, attempt)


@given(run_names, uids, attempts, attempts)
def test_attempts_have_different_names(run: str, uid: str, first: int, second: int) -> None:
    same = names.pod_name(run, uid, first) == names.pod_name(run, uid, second)
    assert same == (first == second)


@given(run_names, uids, uids, attempts)
def test_runs_of_one_name_have_different_pods(
    run: str, first: str, second: str, attempt: int
) -> None:
    same = names.pod_name(run, first, attempt) == names.pod_name(run, second, attempt)
    assert same == (first == second)


@given(uids, attempts)
def test_long_names_with_a_common_start_have_different_pod_names(uid: str, attempt: int) -> None:
    long = "a" * 62
    assert names.pod_name(f"{long}b", uid, attempt) == names.pod_name(f"{long}c", uid, attempt)
    assert names.pod_name(f"{long}b", uid, attempt) != names.pod_name(f"{long}c", "x", attempt)


def test_a_pod_name_starts_with_the_run_and_ends_with_the_attempt() -> None:
    uid = "9f3c1a77-0000-4000-8000-00000000abcd"
    assert re.fullmatch(r"hello-[0-9a-f]{10}-1", names.pod_name("hello", uid, 1))
    assert re.fullmatch(r"etl\.orders-[0-9a-f]{10}-12", names.pod_name("etl.orders", uid, 12))


def test_a_cut_leaves_no_dot_or_hyphen_before_the_hash() -> None:
    name = names.pod_name("a" * 49 + "-.b" + "c" * 10, "1", 1)
    assert name.startswith("a" * 49 + "-")
    assert not name.startswith("a" * 49 + "-.")
    assert "--" not in name


def test_labels_and_annotations_are_under_the_group() -> None:
    keys = (names.LABEL_UID, names.LABEL_NAME, names.LABEL_ATTEMPT, names.ANNOTATION_COLLECTED)
    assert all(each.startswith("taskruns.dev/") for each in keys)
    assert names.GATE_CLAIM == "taskruns.dev/claim"
    assert names.FINALIZER_OUTCOME == "taskruns.dev/outcome"
