"""Classes of the errors with which kubelets and runtimes report that a container cannot start.

A passing error says that the node or the registry cannot serve now: too many requests, no answer,
no name resolution, an internal error of a server. It says nothing about the image or the Pod. Every
other error is lasting: the same request fails again until somebody changes something.

Sources of the wording: Kubernetes `pkg/kubelet/images`, `pkg/kubelet/kuberuntime` and
`pkg/kubelet/kubelet_pods.go`, containerd `core/remotes/docker` and `internal/cri`, Docker's
`distribution`, Go's `net` and `net/http`, gRPC's codes.
"""

import re

_BACK_OFF = re.compile(r'Back-off pulling image "(?:[^"\\]|\\.)*"(?:: (?:ErrImagePull: )?)?')

_NAMES = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]')
"""Quoted names and bracketed paths: an image may be called `timeout` and its tag `503`."""

_PASSING = re.compile(
    r"""
    pull\ qps\ exceeded
    | \btoomanyrequests:\s | too\ many\ requests | \brate\ limit\b | \brate\ exceeded\b
    | throttlingexception: | \brequests?\ (?:was\ |were\ )?throttled\b | quota\ exceeded
    | \bi/o\ timeout\b | handshake\ timeout\b | \btimed\ out\b
    | deadline\ exceeded
    | client\.timeout\ exceeded | timeout\ exceeded\ while | \ request\ canceled\b
    | context\ canceled | operation\ was\ canceled
    | connection\ refused | connection\ reset | connection\ lost | connection\ error
    | connection\ closed | closed\ network\ connection | broken\ pipe | transport\ is\ closing
    | no\ route\ to\ host | network\ is\ (?:unreachable|down) | host\ is\ (?:unreachable|down)
    | server\ sent\ goaway | stream\ error | error\ reading\ from\ server
    | no\ such\ host | name\ resolution | server\ misbehaving | no\ answer\ from\ dns
    | internal\ server\ error | bad\ gateway | gateway\ time-?out
    | service\ (?:is\ )?(?:temporarily\ )?unavailable | temporarily\ unavailable
    | registry\ is\ unavailable | \btry\ again\b | \bretry\ later\b
    | code\ =\ (?:unavailable|deadlineexceeded|resourceexhausted|aborted|canceled)\b
    | :\ unavailable(?:$|:)
    | \bstatus\b.*\s(?:429|5\d\d)(?=$|[\s:,;.)]) | (?:^|\s)(?-i:EOF)(?=$|[\s:,;)])
    | no\ space\ left\ on\ device
    """,
    re.IGNORECASE | re.VERBOSE,
)

_PASSING_CREATE = re.compile(
    r"""
    failed\ to\ reserve\ (?:container|sandbox)\ name | is\ reserved\ for
    | failed\ to\ sync\ (?:configmap|secret)\ cache | services\ have\ not\ yet\ been\ read
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Errors that a busy or restarting kubelet reports before it makes a container."""


def last_pull_error(message: str) -> str:
    """Return the error that a pull ended with; empty where a back-off does not repeat it.

    Kubelets before 1.32 report a back-off without its cause.
    """
    return _BACK_OFF.sub("", message, count=1) if message.startswith("Back-off") else message


def is_passing(message: str) -> bool:
    """Return whether an error says only that the container cannot start now."""
    text = _NAMES.sub('""', message)
    return _PASSING.search(text) is not None or _PASSING_CREATE.search(text) is not None
