"""The contract: names, phases, reasons, models and the CRD. It needs pydantic and nothing else."""
