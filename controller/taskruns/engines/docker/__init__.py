"""A plain Docker host as a runtime: one container an attempt, and a file that is the run's record.

A TaskRun and its Pods are kept in the wire form that Kubernetes gives them, so that the same
decision is made about them; the daemon has the containers. The fence is the same, too: a Pod is
claimed in the file before its container can start, and its container's name is the Pod's.
"""
