"""The documentation says what the code does: its code runs, its tables hold the code's values."""

import importlib
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import bayesdose
from bayesdose import cli, config, planning
from bayesdose.cohort import CHECKS, COLUMNS
from bayesdose.cohort.mapping import load_mapping
from bayesdose.dose import diagnostics, priors
from bayesdose.dose.spec import ModelSpec

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ROOMS = ("cohort", "datasets", "evaluate", "measure", "planning", "report", "risk", "simulate")
PAGES = sorted(path for path in DOCS.glob("*.md") if path.stem != "quick-start")


def text_of(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.S | re.M)


def table_rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


def public_names() -> list[str]:
    """As `api.md` writes them: from the package itself, or `room.name`."""
    own = [name for name in bayesdose.__all__ if name[0] != "_" and name not in (*ROOMS, "dose")]
    listed = [name for name in own if name != "errors"]
    for room in ROOMS:
        names = importlib.import_module(f"bayesdose.{room}").__all__
        listed += [f"{room}.{name}" for name in names if name not in own]
    return listed


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_is_in_the_api_page(name: str) -> None:
    page = text_of("api")
    assert re.search(rf"^   {re.escape(name)}$", page, flags=re.M) or f"`{name}`" in page


def test_the_api_page_lists_nothing_that_is_not_there() -> None:
    for block in blocks(text_of("api"), "{eval-rst}"):
        for name in re.findall(r"^   ([A-Za-z_][\w.]*)$", block, flags=re.M):
            *path, last = name.split(".")
            assert hasattr(importlib.import_module(".".join(["bayesdose", *path])), last), name


@pytest.mark.parametrize(("name", "limit"), planning.LIMITS.items())
def test_limits_of_the_literature_stand_in_the_guide(
    name: str, limit: planning.PublishedLimit
) -> None:
    (row,) = [line for line in table_rows(text_of("planning")) if f"`{name}`" in line]
    value = limit.gy if limit.gy is not None else limit.bed_gy
    for words in (f"{value:g} Gy", limit.source, limit.note, f"| {_yes_no(limit.verified)} |"):
        assert words in row


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def test_every_column_and_range_check_is_in_the_site_table_page() -> None:
    page = text_of("site-table")
    for name in [column.name for column in COLUMNS] + list(CHECKS):
        assert f"`{name}`" in page, name


@pytest.mark.parametrize(
    ("tissue", "prior"),
    [*priors._INTERCEPTS.items(), ("any other word", priors._UNKNOWN_INTERCEPT)],
)
def test_default_intercepts_stand_in_the_guide(tissue: str, prior: priors.Normal) -> None:
    label = f"| {tissue}" if " " in tissue else f"| `{tissue}`"
    (row,) = [line for line in table_rows(text_of("choosing-priors")) if line.startswith(label)]
    assert f"`Normal({prior.mu:g}, {prior.sigma:g})`" in row
    printed = [float(value) for value in re.findall(r"[\d.]+", row.split("|")[3])]
    exact = np.exp(prior.mu + prior.sigma * np.array([0.0, -1.96, 1.96]))
    assert printed == pytest.approx(exact, rel=0.07)


@pytest.mark.parametrize("name", ["slope", "patient_sd", "patient_corr"])
def test_default_priors_stand_in_the_guide(name: str) -> None:
    prior = priors.Priors().resolve(name, "tumour")
    values = ", ".join(f"{value:g}" for value in vars(prior).values())
    (row,) = [line for line in table_rows(text_of("choosing-priors")) if f"| `{name}`" in line]
    assert f"`{type(prior).__name__}({values})`" in row


def test_other_default_spreads_stand_in_the_guide() -> None:
    page = table_rows(text_of("choosing-priors"))
    default = priors.Priors()
    for tissue, words in (("kidney", "but `tumour`"), ("tumour", "`tumour` and any other")):
        (row,) = [line for line in page if line.startswith("| `residual_sd`") and words in line]
        assert f"`HalfNormal({default.resolve('residual_sd', tissue).sigma:g})`" in row
    assert default.resolve("residual_sd", "anything") == default.resolve("residual_sd", "tumour")
    (row,) = [line for line in page if line.startswith("| `site_sd`")]
    for name in ("site_sd", "cycle_sd", "group_sd"):
        assert f"`{name}`" in row
        assert f"`HalfNormal({default.resolve(name, 'tumour').sigma:g})`" in row


def test_every_check_of_a_fit_is_explained() -> None:
    source = Path(diagnostics.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r'_check\(\s*"([^"]+)"', source))
    assert len(named) > 5
    for name in named:
        assert f"| {name} |" in text_of("diagnostics"), name


@pytest.mark.parametrize("page", ["README.md", "docs/quick-start.md"])
def test_command_lines_are_understood(page: str) -> None:
    found = [
        line.split("#")[0].split()[1:]
        for block in blocks((ROOT / page).read_text(encoding="utf-8"), "sh")
        for line in block.splitlines()
        if line.startswith("bayesdose ")
    ]
    assert len(found) >= 4
    for arguments in found:
        cli._parser().parse_args(arguments)


def test_model_file_of_the_quick_start_is_read(tmp_path: Path) -> None:
    (example,) = blocks(text_of("quick-start"), "toml")
    (tmp_path / "model.toml").write_text(example, encoding="utf-8")
    model, fit = config.read_config(tmp_path / "model.toml")
    spec = ModelSpec.from_dict(model)
    assert spec.priors.resolve("residual_sd", "tumour") == priors.HalfNormal(0.5)
    assert spec.priors.resolve("patient_sd", "kidney") == priors.HalfNormal(0.3)
    assert fit["draws"] == 4000


def test_mapping_of_the_site_table_page_is_read() -> None:
    (example,) = blocks(text_of("site-table"), "toml")
    mapping = load_mapping(tomllib.loads(example))
    assert mapping.scale == {"administered_activity_gbq": 0.001}
    assert mapping.words["tissue"]["Niere"] == "kidney"


@pytest.fixture(scope="module")
def after_quick_start(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Names that the quick start leaves behind; the other pages go on from there."""
    (script,) = blocks(text_of("quick-start"), "python")
    namespace: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("quick-start"))
        with pytest.warns(match="sd is infinite"):
            exec(compile(script, "quick-start.md", "exec"), namespace)
        assert Path("dose.nc").is_file()
    return namespace


def test_quick_start_has_fifteen_lines() -> None:
    (script,) = blocks(text_of("quick-start"), "python")
    assert len(script.splitlines()) <= 15


@pytest.mark.slow
def test_quick_start_runs(after_quick_start: dict[str, object]) -> None:
    prediction = after_quick_start["prediction"]
    assert len(prediction) == len(after_quick_start["new"])
    checks = set(after_quick_start["model"].diagnose().table["check"])
    for name in checks:
        assert f"| {name} |" in text_of("diagnostics"), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*infinite under the priors")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_code_of_a_page_runs(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = blocks(page.read_text(encoding="utf-8"), "python")
    if not scripts:
        return
    namespace = dict(request.getfixturevalue("after_quick_start"))
    monkeypatch.chdir(tmp_path)
    for script in scripts:
        exec(compile(script, page.name, "exec"), namespace)


@pytest.mark.slow
def test_slopes_of_the_shared_volume_page_are_those_of_its_code() -> None:
    page = text_of("shared-volume")
    (script,) = blocks(page, "python")
    names: dict[str, object] = {}
    exec(compile(script, "shared-volume.md", "exec"), names)
    lesions, slopes = names["lesions"], names["slopes"]
    volume = lesions["volume_ml"]
    doses = ("true_absorbed_dose_gy", "absorbed_dose_gy")
    for row, mine in (
        ("up to 1 mL", volume <= 1),
        ("1 to 5 mL", (volume > 1) & (volume <= 5)),
        ("above 5 mL", volume > 5),
    ):
        (line,) = [line for line in table_rows(page) if line.startswith(f"| {row}")]
        cells = [cell.split("(")[0].replace("−", "-") for cell in line.split("|")[2:-1]]
        found = [slopes(lesions[mine], dose) for dose in doses]
        exact = [mine.sum(), found[0][1], found[1][1], found[0][2], found[1][2]]
        assert [float(cell) for cell in cells] == pytest.approx(exact, abs=0.006)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*infinite under the priors")
def test_quick_start_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (script,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "README.md", "exec"), {})
    assert (tmp_path / "dose.nc").is_file()
