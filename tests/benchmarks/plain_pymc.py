"""The model of `bench.py` as a user of PyMC writes it, without this package."""

from typing import Any

import numpy as np
import pymc as pm


def build_model(x: np.ndarray, patient: np.ndarray, y: np.ndarray, n_patients: int) -> pm.Model:
    """Random-intercept model of log dose per activity, with its rows in data containers.

    Parameters
    ----------
    x : numpy.ndarray of shape (n, p)
        Standardised covariates.
    patient : numpy.ndarray of int of shape (n,)
        Patient of each row.
    y : numpy.ndarray of shape (n,), log(Gy/GBq)
        Observations.
    n_patients : int
        Patient effects; one without rows is drawn from its prior and changes nothing.

    Returns
    -------
    pymc.Model
    """
    with pm.Model() as model:
        rows = pm.Data("x", x)
        who = pm.Data("patient", patient)
        measured = pm.Data("y", y)
        intercept = pm.Normal("intercept", 1.2, 0.9)
        slope = pm.Normal("slope", 0.0, 0.5, shape=x.shape[1])
        patient_sd = pm.HalfNormal("patient_sd", 0.5)
        residual_sd = pm.HalfNormal("residual_sd", 0.8)
        z = pm.Normal("z", 0.0, 1.0, shape=n_patients)
        mean = intercept + rows @ slope + patient_sd * z[who]
        pm.Normal("log_dose", mean, residual_sd, observed=measured)
    return model


def log_density(tree: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Joint log density of one new patient's rows at each draw, its effect integrated out.

    y ~ N(a + x b, s² I + t² 11'), by Sherman and Morrison.

    Parameters
    ----------
    tree : xarray.DataTree
        Draws of `build_model`.
    x : numpy.ndarray of shape (m, p)
    y : numpy.ndarray of shape (m,), log(Gy/GBq)

    Returns
    -------
    numpy.ndarray of shape (S,)
    """
    draws = tree["posterior"]
    intercept = draws["intercept"].to_numpy().reshape(-1)
    slope = draws["slope"].to_numpy().reshape(-1, x.shape[1])
    patient_var = draws["patient_sd"].to_numpy().reshape(-1) ** 2
    residual_var = draws["residual_sd"].to_numpy().reshape(-1) ** 2
    m = len(y)
    left = y - intercept[:, None] - slope @ x.T
    shared = residual_var + m * patient_var
    square = (left**2).sum(1) / residual_var
    square -= patient_var * left.sum(1) ** 2 / (residual_var * shared)
    log_det = (m - 1) * np.log(residual_var) + np.log(shared)
    return -0.5 * (m * np.log(2 * np.pi) + log_det + square)
