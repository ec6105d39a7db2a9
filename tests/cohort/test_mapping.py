import pandas as pd
import pytest

from bayesdose.cohort import read_sites
from bayesdose.errors import ConfigError, ReadError

TABLE = (
    "Pat;Läsion;Organ;Dosis [Gy];Aktivität [MBq]\n"
    "007;L1;Niere;3,9;7400\n007;L2;Kidney L;4,1;7400\n008;L1;Tumor;12,5;7000\n"
)
TOML = """
[columns]
patient_id = "Pat"
site_id = "Läsion"
tissue = "Organ"
absorbed_dose_gy = "Dosis [Gy]"
administered_activity_gbq = "Aktivität [MBq]"

[scale]
administered_activity_gbq = 0.001

[tissue]
kidney = ["Niere", "Kidney L"]
tumour = "Tumor"
liver = ["Leber"]
"""
EXPECTED = pd.DataFrame(
    {
        "patient_id": ["007", "007", "008"],
        "site_id": ["L1", "L2", "L1"],
        "tissue": ["kidney", "kidney", "tumour"],
        "absorbed_dose_gy": [3.9, 4.1, 12.5],
        "administered_activity_gbq": [7.4, 7.4, 7.0],
    }
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "Tabelle.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture
def toml(tmp_path):
    def write(content):
        path = tmp_path / "map.toml"
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_names_words_and_units_are_mapped_once(table, toml):
    pd.testing.assert_frame_equal(read_sites(table, toml(TOML)), EXPECTED)
    pd.testing.assert_frame_equal(read_sites(table, str(toml(TOML))), EXPECTED)


def test_a_dict_of_names_does_the_names(table):
    frame = read_sites(table, {"patient_id": "Pat", "absorbed_dose_gy": "Dosis [Gy]"})
    assert frame.columns.tolist() == [
        "patient_id",
        "Läsion",
        "Organ",
        "absorbed_dose_gy",
        "Aktivität [MBq]",
    ]
    # The new name says that it is a label, so the zeros stay.
    assert frame["patient_id"].tolist() == ["007", "007", "008"]


def test_a_dict_laid_out_as_the_file(table):
    frame = read_sites(table, {"columns": {"tissue": "Organ"}, "tissue": {"kidney": ["Niere"]}})
    assert frame["tissue"].tolist() == ["kidney", "Kidney L", "Tumor"]


def test_words_make_text_of_a_column_of_codes(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("patient_id,grade\nP1,1\nP2,2\n")
    frame = read_sites(path, {"columns": {}, "grade": {"low": ["1"], "high": ["2"]}})
    assert frame["grade"].tolist() == ["low", "high"]


def test_scaling_leaves_text_for_validation_to_report(tmp_path):
    path = tmp_path / "text.csv"
    path.write_text("patient_id,administered_activity_gbq\nP1,7400\nP2,7400 MBq\nP3,\n")
    frame = read_sites(path, {"scale": {"administered_activity_gbq": 0.001}})
    values = frame["administered_activity_gbq"].tolist()
    assert values[:2] == [7.4, "7400 MBq"]
    assert pd.isna(values[2])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"patient_id": "Patt"}, "Did you mean 'Pat'?"),
        ({"patient_id": "Nummer"}, "It has 'Pat', 'Läsion', 'Organ'"),
        ({"Pat": "patient_id"}, "'patient_id' = 'Pat'?"),
        ({"Organ": "Pat"}, "more than one column Organ"),
        ({"scale": {"suv_mean": 2.0}}, "no column 'suv_mean'"),
        ({"tissue": {"kidney": ["Niere"]}}, "no column 'tissue'"),
    ],
)
def test_a_mapping_that_does_not_fit_the_file(table, columns, said):
    with pytest.raises(ReadError) as caught:
        read_sites(table, columns)
    assert said in str(caught.value)
    assert str(table) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[columns]\na = "Pat"\nb = "Pat"', "'Pat' is mapped to both 'a' and 'b'"),
        ("[columns]\na = 3", "columns.a must be a name"),
        ("[scale]\na = 0", "scale.a must be a number above 0"),
        ('[scale]\na = "0.001"', "scale.a must be a number above 0"),
        ("[scale]\na = inf", "scale.a must be a number above 0"),
        ('[tissue]\nkidney = ["N"]\nliver = ["N"]', "'N' is mapped to both"),
        ("[tissue]\nkidney = [1]", "tissue.kidney must be a list of words"),
        ("[tissue]\nkidney = 1", "tissue.kidney must be a list of words"),
        ('patient_id = "Pat"', "patient_id must be in a table"),
        ("[columns", "is no TOML file"),
    ],
)
def test_a_mapping_that_contradicts_itself(table, toml, content, said):
    with pytest.raises(ConfigError) as caught:
        read_sites(table, toml(content))
    assert said in str(caught.value)
    assert "map.toml" in str(caught.value)


def test_a_mapping_that_is_not_there_or_no_mapping(table, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sites(table, tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="got list"):
        read_sites(table, ["Pat"])
