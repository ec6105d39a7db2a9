"""Uptake and clearance learnt from a population, for patients with few scans.

For region s of patient i in tissue k, with A(t) = A_s (exp(-l1 t) - exp(-l2 t)):

    log T_eff = mu_k + p_i + e_s        p_i ~ N(0, tau^2), e_s ~ N(0, s_k^2)
    log T_up  = m_k + f_s               f_s ~ N(0, w_k^2)
    log measured = log A(t) + noise     noise ~ N(0, sigma^2 + log(1 + cv^2))

l1 = ln 2 / T_eff, bent so that it does not fall below physical decay, and l2 = l1 + ln 2 / T_up.
log A_s is flat and integrated out. The population is sampled by NUTS; a region of a new patient is
integrated on a grid of (T_eff, T_up) under each draw of it, so that one scan moves what it can.
"""

import warnings

import numpy as np
import pandas as pd

from bayesdose._progress import shows_bar
from bayesdose.errors import MeasureError, NotFittedError
from bayesdose.measure._numbers import Floats
from bayesdose.measure.kinetics.hierarchy import sample_population
from bayesdose.measure.kinetics.points import check_points
from bayesdose.measure.kinetics.regions import integrate_regions
from bayesdose.measure.kinetics.shape import Scans
from bayesdose.measure.nuclides import half_life_h

COLUMNS = ("patient_id", "site_id", "time_h", "activity_mbq")
CURVES = ("uptake_clearance",)
#: Beyond these the population's draws are not to be trusted.
MAX_R_HAT, MAX_DIVERGENT = 1.05, 0.005


class PopulationKinetics:
    """Hierarchical uptake-and-clearance curves of a population of regions.

    Parameters
    ----------
    by : str or None
        Column whose values have a population each; None for one population.
    curve : str
        ``"uptake_clearance"``.
    decay_corrected : bool, optional
        True if the activities were corrected for decay back to the injection, False if they are
        those at the time of the scan. Unstated, they are taken as the latter, with a warning.
    radionuclide : str
        Of the therapy.
    """

    def __init__(
        self,
        by: str | None = "tissue",
        curve: str = "uptake_clearance",
        *,
        decay_corrected: bool | None = None,
        radionuclide: str = "Lu177",
    ) -> None:
        if curve not in CURVES:
            raise MeasureError(f"curve: got {curve!r}; allowed is uptake_clearance")
        self.by = by
        self.curve = curve
        self.decay_corrected = decay_corrected
        self.radionuclide = radionuclide

    def fit(
        self, table: pd.DataFrame, *, random_seed: int = 1, progress: bool | None = None
    ) -> "PopulationKinetics":
        """Learn the population.

        Parameters
        ----------
        table : pandas.DataFrame
            A row a scan of a region: patient_id, site_id, time_h, activity_mbq, the column of
            ``by``, optionally cycle and activity_cv (for all scans or, as where the column is all
            NaN, for none).
        random_seed : int
            Seed of NUTS.
        progress : bool, optional
            Whether to show a bar; on a terminal when None.

        Returns
        -------
        PopulationKinetics
            Itself, with ``population_``.

        Raises
        ------
        MeasureError
            When a column is missing, a value is out of range, or a tissue has no region with
            three scans.
        """
        if self.decay_corrected is None:
            warnings.warn(
                "decay_corrected is not stated: activities are taken as those at the time of the "
                "scan. Say decay_corrected=False, or True if they were corrected to the injection",
                stacklevel=2,
            )
        scans, self.tissues_ = self._scans(table, None)
        counts = np.bincount(scans.region)
        for k, tissue in enumerate(self.tissues_):
            if counts[scans.tissue == k].max(initial=0) < 3:
                raise MeasureError(
                    f"no region of {self.by} {tissue!r} has three scans: nothing tells its uptake "
                    "from its clearance. Leave it out, or scan a few patients more often"
                )
        found = sample_population(
            scans,
            len(self.tissues_),
            self._decay,
            random_seed,
            shows_bar(progress),
        )
        if found.r_hat > MAX_R_HAT or found.divergences > MAX_DIVERGENT * len(found.draws["noise"]):
            warnings.warn(
                f"the population is not well determined (R-hat {found.r_hat:.3f}, "
                f"{found.divergences} divergences): its scans are too few or too far apart for "
                "uptake and clearance",
                stacklevel=2,
            )
        self.population_ = found
        return self

    def tia(self, new: pd.DataFrame, *, prob: float = 0.95, random_seed: int = 1) -> pd.DataFrame:
        """Time-integrated activity of each region, from as few as one scan.

        Parameters
        ----------
        new : pandas.DataFrame
            As for `fit`; regions of the training table are treated like any other.
        prob : float
            Probability of the equal-tailed intervals.
        random_seed : int
            Seed.

        Returns
        -------
        pandas.DataFrame
            A row a region, in the order of the table: patient_id, site_id, cycle, n_scans,
            tia_mbq_h (posterior median), tia_cv, lower, upper (MBq h), effective_half_life_h
            (median).
        """
        log_tia, log_half_life, scans = self._draws(new, random_seed)
        tails = (1 - prob) / 2, (1 + prob) / 2
        # Weibull's quantiles of n draws hold the stated probability; the default ones lack 2 / n
        ends = np.quantile(log_tia, [tails[0], 0.5, tails[1]], axis=0, method="weibull")
        lower, median, upper = np.exp(ends)
        relative = np.exp(log_tia - log_tia.max(0))
        return scans.keys.to_frame(index=False).assign(
            n_scans=np.bincount(scans.region),
            tia_mbq_h=median,
            tia_cv=relative.std(0) / relative.mean(0),
            lower=lower,
            upper=upper,
            effective_half_life_h=np.exp(np.median(log_half_life, axis=0)),
        )

    def tia_draws(self, new: pd.DataFrame, *, random_seed: int = 1) -> pd.DataFrame:
        """Joint posterior draws of the time-integrated activities.

        Parameters
        ----------
        new : pandas.DataFrame
            As for `fit`.
        random_seed : int
            Seed.

        Returns
        -------
        pandas.DataFrame of shape (n_draws, n_regions), MBq h
            A column a region; regions of one patient share that patient's effect in each draw.
        """
        log_tia, _, scans = self._draws(new, random_seed)
        return pd.DataFrame(np.exp(log_tia), columns=scans.keys)

    @property
    def _decay(self) -> float:
        return float(np.log(2.0) / half_life_h(self.radionuclide))

    def _draws(self, new: pd.DataFrame, random_seed: int) -> tuple[Floats, Floats, Scans]:
        if not hasattr(self, "population_"):
            raise NotFittedError("PopulationKinetics: fit it to regions with several scans first")
        scans, _ = self._scans(new, self.tissues_)
        rng = np.random.default_rng(random_seed)
        log_tia, log_half_life = integrate_regions(scans, self.population_.draws, self._decay, rng)
        return log_tia, log_half_life, scans

    def _scans(self, table: pd.DataFrame, known: list[str] | None) -> tuple[Scans, list[str]]:
        wanted = [*COLUMNS, *([self.by] if self.by else [])]
        missing = [name for name in wanted if name not in table.columns]
        if missing:
            raise MeasureError(f"the table lacks {', '.join(missing)}; it has {list(table)}.")
        cycle = table["cycle"] if "cycle" in table.columns else pd.Series(1, index=table.index)
        keys = pd.MultiIndex.from_arrays(
            [table["patient_id"].astype(str), table["site_id"].astype(str), cycle],
            names=["patient_id", "site_id", "cycle"],
        )
        region, unique = pd.factorize(keys)
        tissue = table[self.by].astype(str) if self.by else pd.Series("all", index=table.index)
        first = np.unique(region, return_index=True)[1]
        tissues = known or sorted(tissue.unique())
        strange = sorted(set(tissue) - set(tissues))
        if strange:
            raise MeasureError(
                f"{self.by} {', '.join(map(repr, strange))} was not in the population; it has "
                f"{', '.join(map(repr, tissues))}."
            )
        changed = tissue.to_numpy() != tissue.to_numpy()[first][region]
        if changed.any():
            raise MeasureError(f"region {keys[changed][0]} has more than one {self.by}.")
        columns = self._checked(table, keys, region)
        return Scans(
            keys=pd.MultiIndex.from_tuples(unique, names=keys.names),
            patient=pd.factorize(np.array([key[0] for key in unique]))[0],
            tissue=np.array([tissues.index(name) for name in tissue.to_numpy()[first]]),
            **columns,
        ), tissues

    def _checked(self, table: pd.DataFrame, keys: pd.MultiIndex, region: np.ndarray) -> dict:
        parts = []
        # tables that are put together have the column also where nobody knew it
        has_cv = "activity_cv" in table.columns and table["activity_cv"].notna().any()
        for code in range(region.max() + 1):
            mine = table[region == code]
            try:
                points = check_points(
                    mine["time_h"],
                    mine["activity_mbq"],
                    decay_corrected=bool(self.decay_corrected),
                    radionuclide=self.radionuclide,
                    activity_cv=mine["activity_cv"] if has_cv else None,
                )
            except MeasureError as err:
                raise MeasureError(f"region {keys[region == code][0]}: {err}") from err
            cv = np.zeros(len(mine)) if points.cv is None else points.cv
            parts.append((np.full(len(mine), code), points.time_h, points.activity_mbq, cv))
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return {
            "region": joined[0],
            "time_h": joined[1],
            "log_activity": np.log(joined[2]),
            "noise_var": np.log1p(joined[3] ** 2),
        }
