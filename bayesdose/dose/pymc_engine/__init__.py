"""The PyMC engine: the full hierarchical model, every parameter explicit."""

from bayesdose.dose.pymc_engine.build import build_model
from bayesdose.dose.pymc_engine.folds import FoldResult, FoldTask, refit
from bayesdose.dose.pymc_engine.marginal import log_density
from bayesdose.dose.pymc_engine.sampling import Sampled, sample

__all__ = ["FoldResult", "FoldTask", "Sampled", "build_model", "log_density", "refit", "sample"]
