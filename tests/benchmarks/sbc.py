"""Simulation-based calibration of both engines (`make sbc`).

Parameters come from the priors, data from the parameters (`truth.py`, independent of the package),
and each true quantity is ranked among 199 draws of its posterior (Talts et al., arXiv:1804.06788).
If prior, likelihood and sampler are those documented, ranks are uniform. Nine patients with three
tumours and two kidneys each, a slope per tissue, correlated patient effects.

Every fit is a line of `results/sbc_<engine>.partial.csv`; a run that was interrupted goes on
where it stopped, and the finished file replaces `results/sbc_<engine>.csv`. `--engine none` only
tells again what those files say.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from results_files import markdown, run_missing, write
from truth import draw_effects, draw_log_dose, draw_truth, log_likelihood

from bayesdose.dose import design
from bayesdose.dose.conditional import draw_latents
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.fitting import fit_collapsed
from bayesdose.dose.posterior import Draws
from bayesdose.dose.predict import log_dose_draws
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Training
from bayesdose.evaluate import pit_ecdf, sbc_rank_band

matplotlib.use("Agg")

RESULTS = Path(__file__).parent / "results"
FITS = {"collapsed": 1000, "pymc": 300}
TISSUES = ["tumour", "kidney"]
SITES = {"tumour": 3, "kidney": 2}
N_PATIENTS = 9
DRAWS = 4000
N_RANKS = 200
SEED = 2026
PROB = 0.99
QUANTITIES = [
    *(f"{name}[{tissue}]" for name in ("residual_sd", "patient_sd") for tissue in TISSUES),
    "patient_corr",
    *(f"{name}[{tissue}]" for name in ("intercept", "slope") for tissue in TISSUES),
    *(f"new_patient[{tissue}]" for tissue in TISSUES),
    "log_likelihood",
]
Fit = Callable[[Training, int], tuple[Draws, dict[str, float | str]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("both", "none", *FITS), default="both")
    parser.add_argument("--n", type=int, help="fits an engine (default: 1000 and 300)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    wanted = {"both": list(FITS), "none": []}.get(arguments.engine, [arguments.engine])
    for engine in wanted:
        run(engine, arguments.n or FITS[engine], arguments.out)
    table = summarise(arguments.out)
    print(table.to_string(index=False))
    return 0 if table["inside"].all() else 1


def run(engine: str, n: int, out: Path) -> None:
    """Make the fits that are missing, one line of the file each."""
    training, new = tables()
    fit = {"collapsed": with_collapsed, "pymc": with_pymc}[engine]
    run_missing(out / f"sbc_{engine}.csv", n, lambda number: [one(number, training, new, fit)])


def tables() -> tuple[Training, Rows]:
    """Fixed covariates of the training table and of one new patient; the doses are dummies."""
    rng = np.random.default_rng(SEED)
    patients = [f"P{i}" for i in range(N_PATIENTS)]
    frame = _frame(patients, SITES, rng)
    spec = ModelSpec(dict.fromkeys(TISSUES, "log(suv_mean)"))
    encoding, rows = design.learn(frame, spec)
    new = encoding.rows(_frame(["new"], dict.fromkeys(TISSUES, 1), rng))
    return Training(frame, encoding, rows, {}), new


def _frame(patients: list[str], sites: dict[str, int], rng: np.random.Generator) -> pd.DataFrame:
    labels = [(p, t, j) for p in patients for t, count in sites.items() for j in range(count)]
    return pd.DataFrame(
        {
            "patient_id": [patient for patient, _, _ in labels],
            "site_id": [f"{tissue}{j}" for _, tissue, j in labels],
            "tissue": [tissue for _, tissue, _ in labels],
            "suv_mean": rng.lognormal(2.5, 0.6, len(labels)),
            "administered_activity_gbq": 7.4,
            "absorbed_dose_gy": 1.0,
        }
    )


def one(number: int, training: Training, new: Rows, fit: Fit) -> dict[str, float | str]:
    """Draw, fit and rank once."""
    rng = np.random.default_rng([SEED, number])
    encoding, rows = training.encoding, training.rows
    order = list(encoding.tissues)
    truth = draw_truth(order, [1] * len(order), rng)
    effects = draw_effects(truth, N_PATIENTS + 1, rng)
    old, fresh = effects[:-1], effects[-1:]
    y = draw_log_dose(truth, old, rows.x, rows.patient, rows.tissue, rng)
    future = draw_log_dose(truth, fresh, new.x, new.patient, new.tissue, rng)
    measured = replace(rows, log_dose=y + rows.log_activity)
    began = time.perf_counter()
    draws, about = fit(replace(training, rows=measured), number + 1)
    seconds = time.perf_counter() - began
    # every 20th: of a Markov chain that is thinning, importance draws are in random order
    few = draws.take(np.arange(N_RANKS - 1) * (len(draws) // (N_RANKS - 1)))
    u = _effects(encoding, few, measured, rng)
    predicted = log_dose_draws(
        encoding, few, new, kind="new_patient", target="true", measured={}, rng=rng
    )
    posterior = _quantities(encoding, few.residual_sd, few.patient_sd, few.patient_corr, few.beta)
    own = _quantities(
        encoding,
        truth.residual_sd[None],
        truth.patient_sd[None],
        truth.patient_corr[None],
        truth.beta[None],
    )
    for j, tissue in enumerate(order):
        name = f"new_patient[{tissue}]"
        posterior[name] = predicted[:, new.tissue == j][:, 0]
        own[name] = future[new.tissue == j] + new.log_activity[new.tissue == j]
    design_of = (rows.x, rows.patient, rows.tissue)
    posterior["log_likelihood"] = log_likelihood(y, few.beta, u, few.residual_sd, *design_of)
    own["log_likelihood"] = log_likelihood(
        y, truth.beta[None], old[None], truth.residual_sd[None], *design_of
    )
    ranks = {name: _rank(posterior[name], own[name][0], rng) for name in QUANTITIES}
    return {"fit": number, **about, "seconds": round(seconds, 3), **ranks}


def with_collapsed(training: Training, seed: int) -> tuple[Draws, dict[str, float | str]]:
    """Collapsed engine, its default sampler."""
    fitted = fit_collapsed(training, DRAWS, seed, "auto", "cpu")
    about = {
        "sampler": fitted.info["sampler"],
        "pareto_k": round(fitted.info.get("pareto_k", np.nan), 3),
        "weight_ess": round(fitted.info.get("weight_ess", np.nan), 0),
    }
    return fitted.draws, about


def with_pymc(training: Training, seed: int) -> tuple[Draws, dict[str, float | str]]:
    """PyMC engine with nutpie, compiled at the first fit."""
    from bayesdose.dose.pymc_engine import sample
    from bayesdose.dose.pymc_engine.convergence import worst_rhat

    found = sample(training.encoding, training.rows, draws=DRAWS, random_seed=seed, progress=False)
    about = {
        "sampler": found.sampler,
        "rhat": round(worst_rhat(found.draws), 4),
        "diverging": int(found.draws.sample_stats["diverging"].sum()),
    }
    return found.draws, about


def summarise(out: Path) -> pd.DataFrame:
    """Table and pictures of every engine that has been run."""
    lines = []
    for engine in FITS:
        source = out / f"sbc_{engine}.csv"
        if source.exists():
            ranks = pd.read_csv(source)
            lines += [_line(engine, ranks, name) for name in QUANTITIES]
            _picture(engine, ranks, out / f"sbc_{engine}.png")
    table = pd.DataFrame(lines)
    write(out / "sbc_summary.csv", table.to_csv(index=False))
    write(out / "sbc_summary.md", markdown(table))
    return table


def _effects(encoding: Encoding, few: Draws, rows: Rows, rng: np.random.Generator) -> np.ndarray:
    """Patient effects of shape (S, P, K): the sampler's own, or drawn given the rest."""
    if few.patient_effect is not None:
        return few.patient_effect
    by_patient = [rows.take(rows.patient == code).compact() for code in range(N_PATIENTS)]
    return np.stack([draw_latents(encoding, few, mine, rng).u for mine in by_patient], axis=1)


def _quantities(
    encoding: Encoding,
    residual_sd: np.ndarray,
    patient_sd: np.ndarray,
    patient_corr: np.ndarray,
    beta: np.ndarray,
) -> dict[str, np.ndarray]:
    out = {"patient_corr": patient_corr[:, 0, 1]}
    for k, (tissue, block) in enumerate(zip(encoding.tissues, encoding.blocks, strict=True)):
        out[f"residual_sd[{tissue}]"] = residual_sd[:, k]
        out[f"patient_sd[{tissue}]"] = patient_sd[:, k]
        out[f"intercept[{tissue}]"] = beta[:, block.start]
        out[f"slope[{tissue}]"] = beta[:, block.start + 1]
    return out


def _rank(draws: np.ndarray, true: float, rng: np.random.Generator) -> int:
    """Draws below the truth, ties broken at random: uniform on 0..199."""
    return int((draws < true).sum() + rng.integers((draws == true).sum() + 1))


def _ecdf(ranks: pd.DataFrame, name: str) -> pd.DataFrame:
    band = sbc_rank_band(len(ranks), N_RANKS, PROB)
    return pit_ecdf((ranks[name] + 0.5) / N_RANKS, band)


def _line(engine: str, ranks: pd.DataFrame, name: str) -> dict[str, object]:
    ecdf = _ecdf(ranks, name)
    room = np.where(ecdf["difference"] > 0, ecdf["upper"] - ecdf["z"], ecdf["z"] - ecdf["lower"])
    used = (ecdf["difference"].abs() / room.clip(1e-9)).to_numpy()
    return {
        "engine": engine,
        "quantity": name,
        "fits": len(ranks),
        "mean_rank": round(float((ranks[name] + 0.5).mean() / N_RANKS), 4),
        "largest_difference": round(float(ecdf["difference"].abs().max()), 4),
        "share_of_band": round(float(used[ecdf["lower"].to_numpy() > 0].max()), 3),
        "inside": bool(ecdf["inside"].all()),
    }


def _picture(engine: str, ranks: pd.DataFrame, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(3, 4, figsize=(11, 7), sharex=True, sharey=True)
    for axes, name in zip(grid.flat, QUANTITIES, strict=True):
        ecdf = _ecdf(ranks, name)
        z = ecdf["z"]
        axes.fill_between(z, ecdf["lower"] - z, ecdf["upper"] - z, color="0.88", lw=0)
        axes.axhline(0, color="0.6", lw=0.8)
        axes.step(z, ecdf["difference"], color="C0" if ecdf["inside"].all() else "C3", lw=1.2)
        axes.set_title(name, fontsize=10)
    figure.supxlabel("normalised rank of the truth")
    figure.supylabel("ECDF minus uniform")
    figure.suptitle(f"{engine} engine, {len(ranks)} fits; grey: {PROB:.0%} simultaneous band")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
