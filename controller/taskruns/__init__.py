"""taskruns: one containerised task, run to completion, as a Kubernetes resource.

`taskruns.api` holds the contract and needs pydantic only. `core` decides, `engines` carry out the
decisions, and `operator` watches the cluster. A package imports only from those named before it.
"""
