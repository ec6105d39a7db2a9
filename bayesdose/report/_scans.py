"""What the picture of activity over time accepts."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesdose.errors import ConfigError
from bayesdose.measure import TimeActivityFit
from bayesdose.report.inputs import check_columns

_NEEDED = ("patient_id", "site_id", "tissue", "cycle", "time_h", "activity_mbq")


def checked_scans(points: pd.DataFrame) -> pd.DataFrame:
    """Check the points of one patient and cycle.

    Parameters
    ----------
    points : pandas.DataFrame
        The caller's.

    Returns
    -------
    pandas.DataFrame
        site_id as text, time_h (h), activity_mbq, lower, upper (MBq, one standard uncertainty).

    Raises
    ------
    ConfigError
        When a column is absent, rows are of several patients or cycles, or a number is out of
        range.
    """
    if not isinstance(points, pd.DataFrame):
        raise ConfigError(
            f"points: got {type(points).__name__}; give a table as build_time_activity makes it"
        )
    check_columns(points, _NEEDED)
    whose = points[["patient_id", "cycle"]].drop_duplicates()
    if len(whose) != 1:
        first = [f"{row.patient_id} cycle {row.cycle}" for row in whose.head(3).itertuples()]
        said = f", such as {', '.join(first)}" if first else ""
        raise ConfigError(
            f"points: rows of {len(whose)} patients and cycles{said}; the picture is of one: give "
            "its rows"
        )
    given_cv = points["activity_cv"] if "activity_cv" in points else pd.Series(np.nan, points.index)
    time, activity = _numbers(points["time_h"]), _numbers(points["activity_mbq"])
    cv = _numbers(given_cv)
    odd_cv = (cv < 0) | np.isinf(cv) | (np.isnan(cv) & given_cv.notna().to_numpy())
    for name, values, bad, allowed in (
        ("time_h", time, ~(np.isfinite(time) & (time >= 0)), "from 0"),
        ("activity_mbq", activity, ~(np.isfinite(activity) & (activity > 0)), "above 0"),
        ("activity_cv", cv, odd_cv, "from 0, or missing"),
    ):
        if bad.any():
            at = int(np.argmax(bad))
            raise ConfigError(
                f"points: {name} of site {points['site_id'].iloc[at]} is {values[at]:g}; allowed "
                f"are finite numbers {allowed}"
            )
    # of a log-normal activity, which stays above 0 whatever its uncertainty
    log_sd = np.sqrt(np.log1p(cv**2))
    return pd.DataFrame(
        {
            "site_id": points["site_id"].astype(str).to_numpy(),
            "time_h": time,
            "activity_mbq": activity,
            "lower": activity * np.exp(-log_sd),
            "upper": activity * np.exp(log_sd),
        }
    )


def checked_fits(
    fits: Mapping[str, TimeActivityFit], sites: list[str]
) -> dict[str, TimeActivityFit]:
    """Check that fits are fits, and of sites that are there.

    Parameters
    ----------
    fits : mapping of str to TimeActivityFit
        The caller's.
    sites : list of str
        Sites of the points.

    Returns
    -------
    dict of str to TimeActivityFit

    Raises
    ------
    ConfigError
        When it is no mapping, or holds something else.
    """
    if not isinstance(fits, Mapping):
        raise ConfigError(
            f"fits: got {type(fits).__name__}; give a mapping of site_id to TimeActivityFit"
        )
    found = {str(site): fit for site, fit in fits.items()}
    for site, fit in found.items():
        if site not in sites:
            raise ConfigError(
                f"fits: {site!r} is no site of the points; there are {', '.join(sites)}"
            )
        if not isinstance(fit, TimeActivityFit):
            raise ConfigError(
                f"fits: {site!r} has a {type(fit).__name__}; give what fit_time_activity returns"
            )
    return found


def _numbers(values: pd.Series) -> np.ndarray:
    return pd.to_numeric(values, errors="coerce").to_numpy(float)
