"""Evaluation: arrays and tables in, small tables out; nothing here knows a model.

Draws have shape (n_draws, n_sites); the patient of each site comes as `groups`, because sites of
one patient are not independent and every interval has to know it.
"""

from bayesdose.evaluate.binary import binary_scores
from bayesdose.evaluate.calibration import CalibrationLine, calibration_line, whitened_residuals
from bayesdose.evaluate.coverage import Coverage, eti_coverage, hdi_coverage, interval_coverage
from bayesdose.evaluate.decision import decision_curve, decision_curve_survival
from bayesdose.evaluate.intervals import eti, hdi
from bayesdose.evaluate.proper_scores import crps
from bayesdose.evaluate.r_squared import bayes_r2, lopo_r2, out_of_fold_mean
from bayesdose.evaluate.regression import RegressionScores, regression_scores
from bayesdose.evaluate.roc import (
    RocArea,
    RocAreaDifference,
    auc,
    compare_auc,
    compare_auc_unpaired,
)
from bayesdose.evaluate.summary import point_scores, site_scores
from bayesdose.evaluate.uniformity import (
    EcdfBand,
    pit,
    pit_ecdf,
    pit_ecdf_band,
    pit_ecdf_band_joint,
    sbc_rank_band,
)

__all__ = [
    "CalibrationLine",
    "Coverage",
    "EcdfBand",
    "RegressionScores",
    "RocArea",
    "RocAreaDifference",
    "auc",
    "bayes_r2",
    "binary_scores",
    "calibration_line",
    "compare_auc",
    "compare_auc_unpaired",
    "crps",
    "decision_curve",
    "decision_curve_survival",
    "eti",
    "eti_coverage",
    "hdi",
    "hdi_coverage",
    "interval_coverage",
    "lopo_r2",
    "out_of_fold_mean",
    "pit",
    "pit_ecdf",
    "pit_ecdf_band",
    "pit_ecdf_band_joint",
    "point_scores",
    "regression_scores",
    "sbc_rank_band",
    "site_scores",
    "whitened_residuals",
]
