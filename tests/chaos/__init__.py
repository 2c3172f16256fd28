"""Chaos: thousands of runs on a test cluster while everything around them is killed and frozen.

`python -m tests.chaos` (`make chaos`) creates runs on simulated and on real nodes. Meanwhile it
kills and freezes controllers, deletes Pods, removes nodes, restarts the apiserver and etcd, and
takes quota. `schedule` computes all faults from the seed. Afterwards `truth` reads from the
apiserver's audit log, and from lines that containers wrote, whether work was lost or repeated.
Nothing that the controller says is believed.
"""
