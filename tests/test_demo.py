import pytest

from bayesdose.cli import main
from bayesdose.report.folder import CAPTIONS


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder and printed lines of one demo."""
    import contextlib
    import io

    out, text = tmp_path_factory.mktemp("demo") / "bayesdose-demo", io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["demo", "--out", str(out)]) == 0
    return out, text.getvalue().splitlines()


@pytest.mark.slow
def test_it_says_that_the_cohort_is_simulated(demo):
    folder, lines = demo
    assert "SIMULATED" in " ".join(lines)
    assert "simulated" in (folder / "summary.md").read_text().splitlines()[0]


@pytest.mark.slow
def test_it_prints_a_row_for_each_model_in_each_tissue(demo):
    _, lines = demo
    assert max(map(len, lines)) <= 100
    start = next(i for i, line in enumerate(lines) if line.startswith("tumour: 57 sites"))
    rows = [line.split("  ")[1] for line in lines[start:] if line.startswith("  ")]
    assert rows[:15] == 3 * [
        "in-sample, conditional",
        "leave-one-patient-out",
        "population mean",
        "log SUV + log volume",
        "patient intercept only",
    ]
    assert "salivary gland: 36 sites of 9 patients" in lines
    assert "kidney: 18 sites of 9 patients" in lines


@pytest.mark.slow
def test_it_writes_every_picture_with_its_numbers_and_shows_them(demo):
    folder, _ = demo
    names = {path.stem for path in (folder / "figures").glob("*.png")}
    assert names == set(CAPTIONS) - {"trace", "rank"}  # importance draws have no chains
    assert names == {path.stem for path in (folder / "figures").glob("*.csv")}
    summary = (folder / "summary.md").read_text()
    for name in names:
        assert f"(figures/{name}.png)" in summary
    assert "there are no trace and rank plots" in summary


@pytest.mark.slow
def test_its_table_can_be_used_again(demo, capsys):
    folder, _ = demo
    assert main(["validate", str(folder / "sites.csv")]) == 0
    assert "57 tumour, 36 salivary_gland, 18 kidney" in capsys.readouterr().out


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.tex").touch()
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
