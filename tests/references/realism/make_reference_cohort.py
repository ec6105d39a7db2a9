"""Choose the reference cohort's seed and write the files that ship with the package.

Run from the repository's root: ``python tests/references/realism/make_reference_cohort.py``. It
stops when the seed it finds is not the one in ``bayesdose/datasets/reference.py``.
"""

import json
import os
import sys
from itertools import count
from pathlib import Path

import pandas as pd

from bayesdose.datasets.reference import (
    LESION_COUNTS,
    LIGAND_FACTORS,
    MEAN_TOLERANCE_GY,
    PUBLISHED_MEAN_GY,
    RANDOM_SEED,
    simulate_reference_cohort,
)

FOLDER = Path(__file__).parents[3] / "bayesdose" / "datasets"


def meets_published_means(frame: pd.DataFrame) -> bool:
    mean = frame.groupby("tissue")["absorbed_dose_gy"].mean()
    return all(
        abs(mean[tissue] - published) < MEAN_TOLERANCE_GY[tissue]
        for tissue, published in PUBLISHED_MEAN_GY.items()
    )


def first_seed() -> int:
    return next(seed for seed in count(1) if meets_published_means(simulate_reference_cohort(seed)))


def replace_file(path: Path, text: str) -> None:
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)


def main() -> None:
    seed = first_seed()
    if seed != RANDOM_SEED:
        sys.exit(f"the first seed is {seed}; RANDOM_SEED is {RANDOM_SEED}: write {seed} there")
    frame = simulate_reference_cohort()
    factors = ", ".join(f"{tissue} {factor}" for tissue, factor in LIGAND_FACTORS.items())
    attrs = frame.attrs | {
        "name": "reference cohort",
        "source": "simulated by bayesdose (mechanism generator); these are no patients",
        "licence": "Apache-2.0, as the package",
        "selection": f"lesions a patient {LESION_COUNTS}; therapy uptake of whole tissues times "
        f"{factors}; random_seed is the first from 1 with cycle-1 means within 0.2, 0.05 and "
        "0.05 Gy of the published 11.0 (tumour), 1.8 (salivary_gland) and 3.9 Gy (kidney)",
    }
    replace_file(FOLDER / "reference_cohort.csv", frame.to_csv(index=False, float_format="%.6g"))
    replace_file(FOLDER / "reference_cohort.json", json.dumps(attrs, indent=2) + "\n")


if __name__ == "__main__":
    main()
