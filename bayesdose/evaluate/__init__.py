"""Evaluation: arrays and tables in, small tables out; nothing here knows a model.

Draws have shape (n_draws, n_sites); the patient of each site comes as `groups`, because sites of
one patient are not independent and every interval has to know it.
"""

from bayesdose.evaluate._risk_calibration import RiskCalibration
from bayesdose.evaluate.binary import binary_scores
from bayesdose.evaluate.brier import IntegratedBrier, brier_survival, integrated_brier
from bayesdose.evaluate.calibration import CalibrationLine, calibration_line, whitened_residuals
from bayesdose.evaluate.concordance import Concordance, harrell_c, uno_c
from bayesdose.evaluate.coverage import Coverage, eti_coverage, hdi_coverage, interval_coverage
from bayesdose.evaluate.cross_validation import (
    CrossValidation,
    PatientSplitWarning,
    UndefinedFoldWarning,
    cross_validate,
)
from bayesdose.evaluate.cut_points import CutOffs, cut_offs, tuned_cut_off
from bayesdose.evaluate.d_calibration import DCalibration, d_calibration
from bayesdose.evaluate.decision import decision_curve, decision_curve_survival
from bayesdose.evaluate.intervals import eti, hdi
from bayesdose.evaluate.kaplan_meier import kaplan_meier, median_survival, numbers_at_risk
from bayesdose.evaluate.log_rank import LogRank, log_rank
from bayesdose.evaluate.optimism import OptimismCorrection, optimism_corrected
from bayesdose.evaluate.proper_scores import crps
from bayesdose.evaluate.r_squared import bayes_r2, lopo_r2, out_of_fold_mean
from bayesdose.evaluate.regression import RegressionScores, regression_scores
from bayesdose.evaluate.restricted_mean import RestrictedMean, restricted_mean
from bayesdose.evaluate.risk_calibration import risk_calibration
from bayesdose.evaluate.risk_calibration_survival import risk_calibration_survival
from bayesdose.evaluate.risk_groups import (
    OptimismWarning,
    RiskGroups,
    label_out_of_fold,
    risk_groups,
)
from bayesdose.evaluate.roc import (
    RocArea,
    RocAreaDifference,
    auc,
    compare_auc,
    compare_auc_unpaired,
)
from bayesdose.evaluate.roc_curve import roc_curve
from bayesdose.evaluate.summary import point_scores, site_scores
from bayesdose.evaluate.survival import DynamicAuc, dynamic_auc
from bayesdose.evaluate.time_grid import TimeGrid, time_grid
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
    "Concordance",
    "Coverage",
    "CrossValidation",
    "CutOffs",
    "DCalibration",
    "DynamicAuc",
    "EcdfBand",
    "IntegratedBrier",
    "LogRank",
    "OptimismCorrection",
    "OptimismWarning",
    "PatientSplitWarning",
    "RegressionScores",
    "RestrictedMean",
    "RiskCalibration",
    "RiskGroups",
    "RocArea",
    "RocAreaDifference",
    "TimeGrid",
    "UndefinedFoldWarning",
    "auc",
    "bayes_r2",
    "binary_scores",
    "brier_survival",
    "calibration_line",
    "compare_auc",
    "compare_auc_unpaired",
    "cross_validate",
    "crps",
    "cut_offs",
    "d_calibration",
    "decision_curve",
    "decision_curve_survival",
    "dynamic_auc",
    "eti",
    "eti_coverage",
    "harrell_c",
    "hdi",
    "hdi_coverage",
    "integrated_brier",
    "interval_coverage",
    "kaplan_meier",
    "label_out_of_fold",
    "log_rank",
    "lopo_r2",
    "median_survival",
    "numbers_at_risk",
    "optimism_corrected",
    "out_of_fold_mean",
    "pit",
    "pit_ecdf",
    "pit_ecdf_band",
    "pit_ecdf_band_joint",
    "point_scores",
    "regression_scores",
    "restricted_mean",
    "risk_calibration",
    "risk_calibration_survival",
    "risk_groups",
    "roc_curve",
    "sbc_rank_band",
    "site_scores",
    "time_grid",
    "tuned_cut_off",
    "uno_c",
    "whitened_residuals",
]
