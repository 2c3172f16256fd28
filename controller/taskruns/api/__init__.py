"""The contract: names, phases, reasons, models and the CRD. Its only dependency is pydantic."""
