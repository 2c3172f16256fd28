"""Engine for a plain Docker host: one container per attempt and one state file per run.

The state file holds the TaskRun and its Pods in the wire format of Kubernetes, so that the same
`decide` applies to them. The Docker daemon holds the containers. The fence is the same, too: a Pod
is claimed in the state file before its container can start, and the container has the Pod's name.
"""
