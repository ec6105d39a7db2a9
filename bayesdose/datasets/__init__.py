"""Bundled cohorts, each with its source, licence and units in ``frame.attrs``."""

from bayesdose.datasets.reference import load_reference_cohort

__all__ = ["load_reference_cohort"]
