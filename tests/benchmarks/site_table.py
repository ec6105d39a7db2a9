"""Time and memory of a site table of 50 whole-body PET images with 20 lesions each.

Images of 200 x 200 x 350 voxels of 4.07 x 4.07 x 3 mm with counting noise are written as NIfTI,
with lesions as spheres whose volumes are drawn from real PSMA lesions (BAYESDOSE_TEST_DATA), three
reference organs and a label map. Then, each in a process of its own with two workers:

* the table of all patients with uptake and all 25 texture features, reading included;
* peak memory of the workers with 10, 25 and 50 patients;
* the same table killed after 20 patients and started again.

Run ``python tests/benchmarks/site_table.py``; it writes results/site_table.md.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from results_files import markdown, write

RESULTS = Path(__file__).parent / "results"
SHAPE, SPACING_MM = (200, 200, 350), np.array([4.07, 4.07, 3.0])
N_LESIONS, SEED = 20, 20261121
ORGANS = (("parotid_l", "salivary_gland", 30.0), ("liver", "liver", 1500.0), ("k", "kidney", 180.0))

WORK = """
import json, resource, sys, time
from bayesdose import measure
folder, n, store = sys.argv[1], int(sys.argv[2]), sys.argv[3] or None
import pandas as pd
files = pd.read_csv(folder + "/files.csv")
patients = pd.read_csv(folder + "/patients.csv").head(n)
files = files[files["patient_id"].isin(patients["patient_id"])]
files["path"] = [folder + "/" + path for path in files["path"]]
begin = time.perf_counter()
table = measure.build_site_table(
    files, patients, folder + "/regions.csv", n_jobs=2,
    texture=measure.Texture(bin_width=0.5), folder=store, progress=False,
)
seconds = time.perf_counter() - begin
from joblib.externals.loky import get_reusable_executor
get_reusable_executor().shutdown()
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
table.to_csv(folder + "/table.csv")
print(json.dumps({"seconds": seconds, "rows": len(table), "peak_gib": peak}))
"""


def write_cohort(folder: Path, n_patients: int) -> None:
    lesions = pd.read_csv(
        Path(os.environ["BAYESDOSE_TEST_DATA"]) / "psma_autopet3_lesions" / "lesions.csv.gz"
    )
    volumes = lesions["volume_ml"].to_numpy()
    volumes = volumes[volumes < 500]  # what fits into the simulated body
    rng = np.random.default_rng(SEED)
    files, patients = [], []
    for number in range(n_patients):
        name = f"P{number + 1:02d}"
        image, labels = one_patient(rng, rng.choice(volumes, N_LESIONS))
        for kind, values in (("pet", image), ("labels", labels)):
            out = nib.Nifti1Image(values, np.diag([*SPACING_MM, 1.0]))
            with nib.openers.Opener(folder / f"{name}_{kind}.nii.gz", "wb", compresslevel=1) as to:
                to.write(out.to_bytes())
        files += [
            {"patient_id": name, "role": "pet", "path": f"{name}_pet.nii.gz", "units": "SUV"},
            {"patient_id": name, "role": "regions", "path": f"{name}_labels.nii.gz", "units": None},
        ]
        patients.append({"patient_id": name, "pet_tracer": "68Ga-PSMA-11"})
    pd.DataFrame(files).to_csv(folder / "files.csv", index=False)
    pd.DataFrame(patients).to_csv(folder / "patients.csv", index=False)
    rows = [(i + 1, f"L{i + 1:02d}", "tumour") for i in range(N_LESIONS)]
    rows += [(N_LESIONS + 1 + i, site, tissue) for i, (site, tissue, _) in enumerate(ORGANS)]
    pd.DataFrame(rows, columns=["label", "site_id", "tissue"]).to_csv(
        folder / "regions.csv", index=False
    )


def one_patient(rng: np.random.Generator, volumes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    image = rng.gamma(4.0, 0.2, SHAPE).astype(np.float32)
    labels = np.zeros(SHAPE, np.int16)
    every = [*volumes, *(volume for *_, volume in ORGANS)]
    for label in sorted(range(1, len(every) + 1), key=lambda i: -every[i - 1]):
        radius = (3000 * every[label - 1] / (4 * np.pi)) ** (1 / 3)
        reach = np.ceil(radius / SPACING_MM).astype(int)
        while True:
            centre = rng.integers(reach + 1, np.array(SHAPE) - reach - 1)
            box = tuple(slice(c - r, c + r + 1) for c, r in zip(centre, reach, strict=True))
            if not labels[box].any():
                break
        offset = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
        square = sum((o * size) ** 2 for o, size in zip(offset, SPACING_MM, strict=True))
        inside = square <= max(radius, 0.6 * SPACING_MM.max()) ** 2
        labels[box][inside] = label
        image[box][inside] *= rng.uniform(5, 30)
    return image, labels


def run(folder: Path, n_patients: int, store: Path | None = None) -> dict:
    command = [sys.executable, "-c", WORK, str(folder), str(n_patients), str(store or "")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def kill_after(folder: Path, n_patients: int, store: Path, n_done: int) -> int:
    """Start the table, kill it and its workers when so many patients are finished."""
    command = [sys.executable, "-c", WORK, str(folder), str(n_patients), str(store)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not store.is_dir() or len(list(store.glob("*.json"))) < n_done:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return len(list(store.glob("*.json")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=50)
    parser.add_argument("--folder", type=Path, required=True, help="for 3 GB of images")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if not (args.folder / "regions.csv").is_file():
        write_cohort(args.folder, args.patients)
    rows = []
    for n in (args.patients // 5, args.patients // 2, args.patients):
        found = run(args.folder, n)
        rows.append((n, found["rows"], f"{found['seconds']:.0f}", f"{found['peak_gib']:.2f}"))
        print(rows[-1], flush=True)
    whole = pd.read_csv(args.folder / "table.csv")
    store = args.folder / "store"
    n_kept = kill_after(args.folder, args.patients, store, 2 * args.patients // 5)
    again = run(args.folder, args.patients, store)
    same = pd.read_csv(args.folder / "table.csv").equals(whole)
    table = pd.DataFrame(
        rows, columns=["patients", "rows", "wall time, s (2 workers)", "peak of a worker, GiB"]
    )
    text = (
        f"Images of {' x '.join(map(str, SHAPE))} voxels, {N_LESIONS} lesions and {len(ORGANS)} "
        f"organs each; seed {SEED}.\n\n{markdown(table)}\n"
        f"Killed with {n_kept} of {args.patients} patients finished and started again: "
        f"{again['seconds']:.0f} s for the others; the table is "
        f"{'the same in every cell' if same else '**not the same**'}.\n"
    )
    print(text)
    write(RESULTS / "site_table.md", text)


if __name__ == "__main__":
    main()
