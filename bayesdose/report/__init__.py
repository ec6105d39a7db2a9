"""Pictures, each with a table twin that holds the numbers drawn; and a fit written as files.

``plot_x(...)`` draws on the caller's Axes or on those of a new figure, made without pyplot, and
returns them; ``x_data(...)`` returns the numbers. `save_figure` writes a picture.
"""

from bayesdose.report.chains import plot_rank, plot_trace, rank_data, trace_data
from bayesdose.report.coverage import coverage_data, plot_coverage
from bayesdose.report.folder import write_report
from bayesdose.report.patient_calibration import patient_calibration_data, plot_patient_calibration
from bayesdose.report.patient_effects import patient_effects_data, plot_patient_effects
from bayesdose.report.pit import pit_data, plot_pit
from bayesdose.report.predicted_measured import plot_predicted_measured, predicted_measured_data
from bayesdose.report.prior_posterior import plot_prior_posterior, prior_posterior_data
from bayesdose.report.residuals import plot_residuals, residuals_data
from bayesdose.report.scores import score_markdown, score_table, score_text
from bayesdose.report.slices import plot_slices, slices_data
from bayesdose.report.style import save_figure
from bayesdose.report.time_activity import plot_time_activity, time_activity_data

__all__ = [
    "coverage_data",
    "patient_calibration_data",
    "patient_effects_data",
    "pit_data",
    "plot_coverage",
    "plot_patient_calibration",
    "plot_patient_effects",
    "plot_pit",
    "plot_predicted_measured",
    "plot_prior_posterior",
    "plot_rank",
    "plot_residuals",
    "plot_slices",
    "plot_time_activity",
    "plot_trace",
    "predicted_measured_data",
    "prior_posterior_data",
    "rank_data",
    "residuals_data",
    "save_figure",
    "score_markdown",
    "score_table",
    "score_text",
    "slices_data",
    "time_activity_data",
    "trace_data",
    "write_report",
]
