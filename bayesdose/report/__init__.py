"""Pictures, each with a table twin that holds the numbers drawn; and a fit written as files.

``plot_x(...)`` draws on the caller's Axes or on those of a new figure, made without pyplot, and
returns them; ``x_data(...)`` returns the numbers. `save_figure` writes a picture. `html` writes a
whole report as one page, `paper_tables` its tables as CSV and Word, `patient_sheet` a page for one
patient.
"""

from bayesdose.report.chains import plot_rank, plot_trace, rank_data, trace_data
from bayesdose.report.contributions import (
    contributions_beeswarm_data,
    contributions_data,
    plot_contributions,
    plot_contributions_beeswarm,
)
from bayesdose.report.coverage import coverage_data, plot_coverage
from bayesdose.report.decision import decision_curve_data, plot_decision_curve
from bayesdose.report.dose_response import dose_response_data, plot_dose_response
from bayesdose.report.folder import write_report
from bayesdose.report.hazard_ratios import hazard_ratios_data, plot_hazard_ratios
from bayesdose.report.kaplan_meier import kaplan_meier_data, plot_kaplan_meier
from bayesdose.report.model_page.writing import html
from bayesdose.report.patient_calibration import patient_calibration_data, plot_patient_calibration
from bayesdose.report.patient_effects import patient_effects_data, plot_patient_effects
from bayesdose.report.pit import pit_data, plot_pit
from bayesdose.report.predicted_measured import plot_predicted_measured, predicted_measured_data
from bayesdose.report.prior_posterior import plot_prior_posterior, prior_posterior_data
from bayesdose.report.residuals import plot_residuals, residuals_data
from bayesdose.report.risk_calibration import plot_risk_calibration, risk_calibration_data
from bayesdose.report.roc import plot_roc, roc_data
from bayesdose.report.scores import score_markdown, score_table, score_text
from bayesdose.report.sheet.writing import patient_sheet
from bayesdose.report.slices import plot_slices, slices_data
from bayesdose.report.style import save_figure
from bayesdose.report.time_activity import plot_time_activity, time_activity_data
from bayesdose.report.word import paper_tables

__all__ = [
    "contributions_beeswarm_data",
    "contributions_data",
    "coverage_data",
    "decision_curve_data",
    "dose_response_data",
    "hazard_ratios_data",
    "html",
    "kaplan_meier_data",
    "paper_tables",
    "patient_calibration_data",
    "patient_effects_data",
    "patient_sheet",
    "pit_data",
    "plot_contributions",
    "plot_contributions_beeswarm",
    "plot_coverage",
    "plot_decision_curve",
    "plot_dose_response",
    "plot_hazard_ratios",
    "plot_kaplan_meier",
    "plot_patient_calibration",
    "plot_patient_effects",
    "plot_pit",
    "plot_predicted_measured",
    "plot_prior_posterior",
    "plot_rank",
    "plot_residuals",
    "plot_risk_calibration",
    "plot_roc",
    "plot_slices",
    "plot_time_activity",
    "plot_trace",
    "predicted_measured_data",
    "prior_posterior_data",
    "rank_data",
    "residuals_data",
    "risk_calibration_data",
    "roc_data",
    "save_figure",
    "score_markdown",
    "score_table",
    "score_text",
    "slices_data",
    "time_activity_data",
    "trace_data",
    "write_report",
]
