"""taskruns: one containerised task, run to completion, as a Kubernetes resource.

`taskruns.api` is the contract and needs pydantic alone; `core` decides, `engines` act, `operator`
listens. Imports go one way, from the last to the first.
"""
