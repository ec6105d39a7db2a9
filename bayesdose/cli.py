"""Command line: demo, measure, validate, fit, predict, report. Thin: reads, calls, writes.

Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 1 the
input is refused, 2 the command line makes no sense, 130 interrupted.
"""

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import bayesdose
from bayesdose import config
from bayesdose._files import check_free, whole_folder, write_text
from bayesdose.errors import BayesdoseError

if TYPE_CHECKING:
    import pandas as pd

    from bayesdose import DoseModel
    from bayesdose.dose.leave_one_out import LeaveOneOut
    from bayesdose.dose.spec import ModelSpec
    from bayesdose.measure import Dosimetry, Texture
    from bayesdose.planning import DoseLimit

DEFAULT_FORMULA = "log(suv_mean) + log(volume_ml)"
DEMO_FORMULA = {
    "tumour": "log(total_lesion_uptake) + log(tumour_to_parotid) + glcm_joint_entropy",
    "salivary_gland": "log(suv_mean)",
    "kidney": "log(suv_mean) + egfr_ml_min_1p73m2",
}
MODEL_FILE = "dose.nc"
#: By this file an earlier run of measure is known; beside it are its finished patients.
_STORE_SIGN = "patients/README.txt"
_SIMULATED = (
    "The cohort is SIMULATED, from kinetics, imaging and dosimetry. It shows how the package "
    "works; it is no evidence about patients."
)
_WIDTH = 100
_MAX_LIMITS_BYTES = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    try:
        args = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    try:
        with _messages():
            args.run(args)
            sys.stdout.flush()
    except BayesdoseError as err:
        return _failed(args.command, str(err), 1)
    except BrokenPipeError:
        # the reader has enough; what Python flushes at exit must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as err:
        where = f"{err.filename}: " if err.filename else ""
        return _failed(args.command, f"{where}{err.strerror or err}", 1)
    except KeyboardInterrupt:
        return _failed(args.command, "interrupted", 130)
    return 0


def _failed(command: str, message: str, code: int) -> int:
    print(f"bayesdose {command}: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bayesdose",
        description="Hierarchical Bayesian models of 177Lu absorbed dose. For research only.",
    )
    parser.add_argument("--version", action="version", version=f"bayesdose {bayesdose.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = _command(commands, "demo", _demo, "fit the simulated reference cohort and show it all")
    demo.add_argument(
        "--out", type=Path, default=Path("bayesdose-demo"), help="folder (default: %(default)s)"
    )
    _add_force(demo)

    measure = _command(commands, "measure", _measure, "build a site table from images")
    for name, what in (
        ("files", "files: patient_id, cycle, role, path, units, datetime, time_h, ..."),
        ("patients", "patients: patient_id, cycle, weight_kg, pet_tracer, pet_activity_mbq, ..."),
        ("regions", "regions: label, site_id, tissue, lesion_type, ..."),
    ):
        measure.add_argument(name, type=Path, metavar=name.upper(), help=f"table of {what}")
    measure.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write; with that of an interrupted run, the run goes on",
    )
    measure.add_argument(
        "--settings",
        type=Path,
        metavar="measure.toml",
        help="tables [texture] (bin_width, ...) and [dosimetry] (calibration_cv, ...)",
    )
    measure.add_argument(
        "--jobs",
        type=_jobs,
        default=1,
        metavar="N",
        help="patients at once, at most one a core; -1 for all cores (default: %(default)s)",
    )
    _add_force(measure, "; finished patients are not measured anew")

    validate = _command(commands, "validate", _validate, "check a site table")
    _add_table(validate)

    fit = _command(commands, "fit", _fit, "fit, validate and write a model")
    _add_table(fit)
    fit.add_argument(
        "--config",
        type=Path,
        metavar="model.toml",
        help=f"model and priors (default: {DEFAULT_FORMULA}, by tissue)",
    )
    fit.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    fit.add_argument(
        "--include-patients",
        action="store_true",
        help=f"keep the training rows in {MODEL_FILE}, to predict known patients from it",
    )
    _add_force(fit)

    predict = _command(commands, "predict", _predict, "predict absorbed dose with a fitted model")
    predict.add_argument("model", type=Path, metavar="DIR", help="folder that fit wrote")
    _add_table(predict)
    predict.add_argument(
        "--kind",
        choices=("new_patient", "known_patient", "typical_patient"),
        default="new_patient",
        help="patient effects: drawn, conditional on measured rows, or none (default: %(default)s)",
    )
    predict.add_argument(
        "--given", metavar="TABLE", help="measured rows to condition on, read like the first table"
    )
    predict.add_argument(
        "--target",
        choices=("true", "measured"),
        default="true",
        help="the dose, or a measurement of it (default: %(default)s)",
    )
    predict.add_argument(
        "--hdi-prob", type=float, default=0.95, metavar="P", help="mass (default: %(default)s)"
    )
    predict.add_argument(
        "--out", type=Path, metavar="FILE.csv", help="file to write (default: standard output)"
    )
    _add_force(predict)
    _add_report(commands)
    return parser


def _add_report(commands: Any) -> None:
    report = _command(commands, "report", _report, "write a fitted model as one HTML page")
    report.add_argument("model", type=Path, metavar="DIR", help="folder that fit or demo wrote")
    report.add_argument(
        "--out", type=Path, metavar="FILE.html", help="file to write (default: DIR/report.html)"
    )
    report.add_argument(
        "--tables", type=Path, metavar="FOLDER", help="also write tables for papers, CSV and Word"
    )
    report.add_argument(
        "--table",
        metavar="TABLE",
        help=f"the table that the model was fitted to, where {MODEL_FILE} does not hold its rows",
    )
    report.add_argument("--new", metavar="TABLE", help="site table of new patients to predict")
    report.add_argument("--columns", metavar="map.toml", help="names, words and units of tables")
    report.add_argument("--sheet", help="sheet of a workbook with more than one")
    report.add_argument(
        "--limits",
        type=Path,
        metavar="limits.toml",
        help="tables [[limit]] (tissue, gy, probability, ...) to plan an activity for",
    )
    report.add_argument(
        "--cycles", type=int, default=6, metavar="N", help="of the plan (default: %(default)s)"
    )
    report.add_argument(
        "--identifiers", action="store_true", help="show labels of patients, sites and centres"
    )
    _add_force(report)


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], help_text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}."
    )
    parser.set_defaults(run=run)
    return parser


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="site table: .csv, .xlsx or .parquet")
    parser.add_argument("--columns", metavar="map.toml", help="names, words and units of the table")
    parser.add_argument("--sheet", help="sheet of a workbook with more than one")


def _add_force(parser: argparse.ArgumentParser, more: str = "") -> None:
    parser.add_argument("--force", action="store_true", help=f"replace files that are there{more}")


def _jobs(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < -1 or number == 0:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; give a whole number from 1, or -1 for all cores"
        )
    return number


def _demo(args: argparse.Namespace) -> None:
    check_free(args.out, force=args.force, sign="summary.md")
    sites = bayesdose.datasets.load_reference_cohort()
    _say(f"reference cohort, SIMULATED: {_size(sites)}")
    spec = _spec({"formula": DEMO_FORMULA})
    heading = "The reference cohort of bayesdose (simulated)"
    _fit_and_write(sites, spec, config.FIT_DEFAULTS, args.out, heading=heading, with_table=True)
    print(f"\n{_wrapped(_SIMULATED)}")


def _measure(args: argparse.Namespace) -> None:
    import joblib
    import pandas as pd

    from bayesdose.measure.table.inputs import make_jobs
    from bayesdose.report.folder import write_csv

    check_free(args.out, force=args.force, sign=_STORE_SIGN)
    texture, dosimetry = _measure_settings(args.settings)
    tables = args.files, args.patients, args.regions
    make_jobs(*tables)  # tables that are refused leave no trace
    _begin_store(args.out)
    written = args.out / "sites.csv", args.out / "problems.csv"
    for path in written:
        # those of an earlier run are not to be taken for this one's
        path.unlink(missing_ok=True)
    try:
        sites = bayesdose.measure.build_site_table(
            *tables,
            min(args.jobs, joblib.cpu_count()),
            texture=texture,
            dosimetry=dosimetry,
            folder=(args.out / _STORE_SIGN).parent,
        )
    except BayesdoseError as err:
        raise bayesdose.MeasureError(f"{err}\n{written[0]} is not written") from err
    problems = pd.DataFrame(
        sites.attrs["problems"], columns=["patient_id", "cycle", "problem"], dtype=object
    )
    write_csv(problems, written[1])
    write_csv(sites, written[0])
    _say(f"wrote {written[0]}; it names patients")
    print(f"{_size(sites)}; {len(problems)} patients and cycles left out")


def _measure_settings(path: Path | None) -> tuple["Texture | None", "Dosimetry"]:
    from bayesdose.measure.table.settings import settings_from_dict

    plain = {} if path is None else config.read_toml(path)
    try:
        return settings_from_dict(plain)
    except BayesdoseError as err:
        raise bayesdose.ConfigError(f"{path}: {err}") from err


def _begin_store(out: Path) -> None:
    """Make the folder of finished patients, or say what an earlier run left in it."""
    sign = out / _STORE_SIGN
    if not sign.is_file():
        sign.parent.mkdir(parents=True, exist_ok=True)
        write_text("Finished patients of bayesdose measure; made anew when missing.\n", sign)
        return
    kept = len(list(sign.parent.glob("*.json")))
    _say(f"{kept} finished before; those whose files, rows or settings changed are measured anew")


def _validate(args: argparse.Namespace) -> None:
    sites = bayesdose.validate_sites(_read(args, args.table))
    print(f"{args.table}: in order; {_size(sites)}")


def _fit(args: argparse.Namespace) -> None:
    check_free(args.out, force=args.force)
    plain, settings = {"formula": DEFAULT_FORMULA}, config.FIT_DEFAULTS
    if args.config is not None:
        plain, settings = config.read_config(args.config)
    spec = _spec(plain)
    sites = _read(args, args.table)
    _fit_and_write(
        sites,
        spec,
        settings,
        args.out,
        heading=f"Dose model of {Path(args.table).name}",
        include_patients=args.include_patients,
    )


def _predict(args: argparse.Namespace) -> None:
    from bayesdose.report.folder import write_csv

    if args.out is not None and args.out.exists() and not args.force:
        raise bayesdose.ConfigError(f"{args.out}: exists; replace it with --force")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise bayesdose.ConfigError(f"{args.out}: there is no folder {args.out.parent}; make it")
    model = bayesdose.DoseModel.load(args.model / MODEL_FILE)
    spec = model._state().encoding.spec
    doses = [c for c in (spec.response, spec.dose_cv, spec.dose_cv_shared) if c is not None]
    new = _read(args, args.table, optional=doses)
    given = None if args.given is None else _read(args, args.given)
    _say(f"predicting {len(new)} sites: kind {args.kind}, target {args.target}")
    table = model.predict(
        new, kind=args.kind, given=given, target=args.target, hdi_prob=args.hdi_prob
    )
    if args.out is None:
        sys.stdout.write(table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    else:
        write_csv(table, args.out)
        _say(f"wrote {args.out}")


def _report(args: argparse.Namespace) -> None:
    from bayesdose.report.model_page.findings import gather
    from bayesdose.report.model_page.writing import page_of
    from bayesdose.report.page import check_place, write_page
    from bayesdose.report.word import WORD_FILE, write_tables

    if not (args.model / MODEL_FILE).is_file():
        raise bayesdose.ConfigError(
            f"{args.model}: holds no {MODEL_FILE}; name a folder that fit or demo wrote"
        )
    out = check_place(args.out or args.model / "report.html")
    if out.exists() and not args.force:
        raise bayesdose.ConfigError(f"{out}: exists; replace it with --force")
    if args.tables is not None:
        check_free(args.tables, force=args.force, sign=WORD_FILE)
    limits = () if args.limits is None else _limits(args.limits)
    model = bayesdose.DoseModel.load(args.model / MODEL_FILE)
    if args.table is not None:
        model = _with_rows(model, _read(args, args.table))
    new = None
    if args.new is not None:
        spec = model._state().encoding.spec
        doses = [c for c in (spec.response, spec.dose_cv, spec.dose_cv_shared) if c is not None]
        new = _read(args, args.new, optional=doses)
    _say("leaving patients out, predicting and scoring")
    found = gather(
        model,
        new=new,
        limits=limits,
        n_cycles=args.cycles,
        include_identifiers=args.identifiers,
    )
    _say("drawing and writing")
    write_page(page_of(found, None), out)
    if args.tables is not None:
        write_tables(found, args.tables)
        _say(f"wrote {args.tables}")
    _say(f"wrote {out}{'; it shows labels of patients' if args.identifiers else ''}")


def _limits(path: Path) -> tuple["DoseLimit", ...]:
    from bayesdose.report.limits import limits_from_dict

    if path.is_file() and path.stat().st_size > _MAX_LIMITS_BYTES:
        raise bayesdose.ConfigError(f"{path}: is too large to be a file of limits")
    return limits_from_dict(config.read_toml(path), str(path))


def _with_rows(model: "DoseModel", sites: "pd.DataFrame") -> "DoseModel":
    from bayesdose.dose.attaching import attach

    _say("holding the table against the model")
    model._fitted = attach(model._state(), sites)
    return model


def _fit_and_write(
    sites: "pd.DataFrame",
    spec: "ModelSpec",
    settings: dict[str, Any],
    out: Path,
    *,
    heading: str,
    include_patients: bool = False,
    with_table: bool = False,
) -> None:
    from bayesdose.dose.prediction import needs_training
    from bayesdose.report.folder import FILES, write_csv

    _say("fitting (the first time in a process compiles)")
    model = bayesdose.DoseModel(**{name: getattr(spec, name) for name in vars(spec)})
    model.fit(sites, **settings)
    for column, n in needs_training(model._state(), "a report").dropped.items():
        _say(f"left out {n} rows without {column}")
    print(f"{_wrapped(str(model.diagnose()))}\n")
    _say("leaving every patient out in turn")
    lopo = model.leave_one_patient_out()
    _say("scoring the baselines, drawing pictures and writing files")
    with whole_folder(out, (*FILES, MODEL_FILE, "model.toml", "sites.csv")) as folder:
        _write(model, lopo, settings, folder, heading, include_patients)
        if with_table:
            write_csv(sites, folder / "sites.csv")
    _say(f"wrote {out}; its tables and pictures name patients")
    if not include_patients:
        _say(f"{out / MODEL_FILE} holds neither rows nor labels of patients")


def _write(
    model: "DoseModel",
    lopo: "LeaveOneOut",
    settings: dict[str, Any],
    folder: Path,
    heading: str,
    include_patients: bool,
) -> None:
    from bayesdose.report import score_text, write_report
    from bayesdose.report.scores import elpd_text

    model.save(folder / MODEL_FILE, include_patients=include_patients)
    spec = model._state().encoding.spec
    text = config.to_toml(spec.to_dict(), settings, _default_priors(model))
    write_text(text, folder / "model.toml")
    table = write_report(model, lopo, folder, heading=heading)
    print(score_text(table))
    print(f"\n{_wrapped(elpd_text(lopo))}")
    for note in table.attrs["notes"]:
        print(_wrapped(f"Note: {note}."))


def _spec(plain: dict[str, Any]) -> "ModelSpec":
    from bayesdose.dose.spec import ModelSpec

    return ModelSpec.from_dict(plain)


def _default_priors(model: "DoseModel") -> dict[str, Any]:
    """Priors in force that the user has not stated, as plain values."""
    from bayesdose.dose import priors

    encoding = model._state().encoding
    stated = encoding.spec.priors
    missing: dict[str, Any] = {}
    for name in ("intercept", "slope", "patient_sd", "residual_sd", "patient_corr"):
        by_tissue = {
            tissue: stated.resolve(name, tissue, encoding.log_activity)
            for tissue in encoding.tissues
            if stated.given(name, tissue) is None
        }
        if len(set(by_tissue.values())) == 1 and getattr(stated, name) is None:
            missing[name] = next(iter(by_tissue.values()))
        elif by_tissue:
            missing[name] = by_tissue
    return priors.to_dict(bayesdose.Priors(**missing))


def _read(args: argparse.Namespace, path: str, optional: Collection[str] = ()) -> "pd.DataFrame":
    sites = bayesdose.read_sites(path, columns=args.columns, sheet=args.sheet, optional=optional)
    # messages then name rows as a spreadsheet numbers them, below one row of column names
    sites.index = sites.index + (1 if path.lower().endswith(".parquet") else 2)
    _say(f"read {path}: {len(sites)} rows")
    return sites


def _wrapped(text: str) -> str:
    return "\n".join(fill(line, _WIDTH, subsequent_indent="    ") for line in text.splitlines())


def _size(sites: "pd.DataFrame") -> str:
    counts = sites["tissue"].astype(str).value_counts(sort=False)
    words = ", ".join(f"{n} {tissue}" for tissue, n in counts.items())
    return f"{len(sites)} rows of {sites['patient_id'].nunique()} patients: {words}"


_BEGAN = time.perf_counter()


def _say(text: str) -> None:
    seconds = time.perf_counter() - _BEGAN
    print(f"[{seconds:5.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def _messages() -> Iterator[None]:
    """Show warnings and progress of the package as lines on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("          %(message)s"))
    log = logging.getLogger("bayesdose")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print(f"warning: {message}", file=sys.stderr, flush=True)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = show
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


if __name__ == "__main__":
    sys.exit(main())
