"""The contract of taskruns: names, phases, reasons and models. It needs pydantic and nothing else."""
