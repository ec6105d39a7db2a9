import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bayesdose as bd
from bayesdose.cohort import read_sites, validate_sites
from bayesdose.errors import ReadError, SiteTableError


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="sites.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def refusal(path, **arguments):
    with pytest.raises(ReadError) as caught:
        read_sites(path, **arguments)
    assert str(path) in str(caught.value)
    return str(caught.value)


POINT = "patient_id,site_id,absorbed_dose_gy,cycle,note\n007,T1,12.5,1,a\n08,T2,0.125,2,\n"
EXPECTED = pd.DataFrame(
    {
        "patient_id": ["007", "08"],
        "site_id": ["T1", "T2"],
        "absorbed_dose_gy": [12.5, 0.125],
        "cycle": [1, 2],
        "note": ["a", None],
    }
)


@pytest.mark.parametrize(
    "content",
    [
        POINT,
        POINT.replace(",", ";"),
        POINT.replace(",", "\t"),
        POINT.replace(",", ";").replace(".", ","),
        POINT.replace(",", "\t").replace(".", ","),
        POINT.replace("\n", "\r\n"),
        POINT.replace("\n", "\r"),
        POINT.rstrip("\n"),
        POINT + "\n\n",
        POINT.replace(",", ", "),
        '"' + POINT.replace(",", '","').replace("\n", '"\n"')[:-1],
        b"\xef\xbb\xbf" + POINT.encode(),
    ],
)
def test_the_same_table_in_every_dialect(write, content):
    pd.testing.assert_frame_equal(read_sites(write(content)), EXPECTED)


@pytest.mark.parametrize("suffix", [".tsv", ".txt", ".CSV"])
def test_other_endings(write, suffix):
    path = write(POINT.replace(",", "\t"), f"sites{suffix}")
    pd.testing.assert_frame_equal(bd.read_sites(str(path)), EXPECTED)


def test_the_reference_cohort_survives_the_way_through_a_file(tmp_path):
    sites = bd.simulate.dose_cohort(9, random_seed=1)
    path = tmp_path / "cohort.csv"
    sites.to_csv(path, index=False)
    back = read_sites(path)
    columns = [name for name in sites if name != "lesion_type"]
    pd.testing.assert_frame_equal(back[columns], sites[columns], rtol=1e-14, check_like=True)
    sites.to_csv(path, index=False, sep=";", decimal=",")
    pd.testing.assert_frame_equal(read_sites(path), back)
    validate_sites(back)


NUMBERS = st.floats(min_value=1e-6, max_value=1e9, allow_nan=False).filter(
    lambda value: value != round(value)
)
LABELS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8
)
ROWS = st.lists(
    st.tuples(LABELS, NUMBERS, st.one_of(st.just(math.nan), NUMBERS), st.integers(1, 10**9)),
    min_size=1,
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(rows=ROWS, sharp=st.booleans())
def test_any_table_reads_the_same_from_both_conventions(tmp_path, rows, sharp):
    frame = pd.DataFrame(rows, columns=["patient_id", "absorbed_dose_gy", "suv_mean", "count"])
    if sharp:
        # Without numbers such as these, three decimals throughout would be ambiguous.
        frame.loc[len(frame)] = ["sharp", 0.5, 0.25, 1]
    texts = []
    for separator, decimal in ((",", "."), (";", ","), ("\t", ","), (";", ".")):
        path = tmp_path / "any.csv"
        frame.to_csv(path, index=False, sep=separator, decimal=decimal)
        try:
            texts.append(read_sites(path))
        except ReadError:
            if sharp:
                raise
    for read in texts:
        pd.testing.assert_frame_equal(read, frame, check_exact=True)


@settings(max_examples=200)
@given(content=st.text(st.sampled_from(list('a1.,;\t"\n 0')), max_size=40))
def test_no_text_gives_anything_but_a_table_or_a_refusal(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_text(content, newline="")
    try:
        frame = read_sites(path)
    except ReadError:
        return
    assert len(frame) > 0
    assert frame.columns.is_unique


# Values.


def test_labels_stay_as_written(write):
    path = write("patient_id,site_id,tissue,centre\nNA,1e5,nan,001\n 12,0x1F,TRUE,\n")
    frame = read_sites(path)
    assert frame["patient_id"].tolist() == ["NA", "12"]
    assert frame["site_id"].tolist() == ["1e5", "0x1F"]
    assert frame["tissue"].tolist() == ["nan", "TRUE"]
    assert frame["centre"].tolist() == ["001", None]


def test_an_empty_label_is_missing_for_validation_to_report(write):
    path = write("patient_id,site_id,absorbed_dose_gy\nP1,T1,1.5\n,T2,2.5\n")
    with pytest.raises(SiteTableError) as caught:
        validate_sites(read_sites(path), by=None, activity=None)
    assert caught.value.problems == [
        {
            "row": 1,
            "column": "patient_id",
            "value": "missing",
            "allowed": "text or a number, without blanks around it or control characters",
        }
    ]


def test_text_in_a_column_of_numbers_stays_for_validation_to_report(write):
    cells = ["12 Gy", "<0.1", "1_000", "n/a", "12,5.3", "#DIV/0!", "0x1F", "007", "1 234"]
    lines = "".join(f'P1,T{i},"{cell}"\n' for i, cell in enumerate(cells))
    frame = read_sites(write("patient_id,site_id,absorbed_dose_gy\nP1,T,1.5\n" + lines))
    assert frame["absorbed_dose_gy"].tolist() == [1.5, *cells]
    with pytest.raises(SiteTableError) as caught:
        validate_sites(frame, by=None, activity=None)
    assert [problem["value"] for problem in caught.value.problems] == cells


def test_missing_and_infinite_numbers(write):
    path = write("patient_id,suv_mean,suv_max\nP1,,inf\nP2,NA,-Infinity\nP3,NaN,1.5\n")
    frame = read_sites(path)
    assert frame["suv_mean"].isna().all()
    assert frame["suv_max"].tolist() == [math.inf, -math.inf, 1.5]


def test_numbers_in_all_their_spellings(write):
    cells = "1 -2 +3 1.5 -.5 2. 1e3 1.5E-2 +1e+2".split()
    frame = read_sites(write("patient_id,glcm_x\n" + "".join(f"P,{cell}\n" for cell in cells)))
    assert frame["glcm_x"].tolist() == [float(cell) for cell in cells]
    assert read_sites(write("patient_id,n\nP,1\nQ,2\n"))["n"].dtype == np.int64


def test_columns_that_the_schema_does_not_know(write):
    path = write(
        "Subject,Days,code,flag,ldh,uid\n308,0,007,True,200,1234567890123456789\n"
        "309,1.5,12,False,<100,1\n"
    )
    frame = read_sites(path)
    assert frame["Subject"].tolist() == [308, 309]
    assert frame["Days"].tolist() == [0.0, 1.5]
    assert frame["code"].tolist() == ["007", "12"]
    assert frame["flag"].dtype == bool
    assert frame["ldh"].tolist() == ["200", "<100"]
    assert frame["uid"].tolist() == ["1234567890123456789", "1"]


def test_a_flag_with_gaps_is_not_false(write):
    frame = read_sites(write("patient_id,glcm_below_guard\nA,True\nB,\nC,FALSE\n"))
    assert frame["glcm_below_guard"].tolist() == [True, None, False]


# What could be read in two ways.


def test_decimal_commas_in_a_comma_separated_file(write):
    said = refusal(write('patient_id,absorbed_dose_gy\nP1,"3.5"\nP2,"3,5"\n'))
    assert "line 3, column 'absorbed_dose_gy': '3,5'" in said
    assert "semicolon" in said


def test_decimal_commas_without_quotes_give_ragged_lines(write):
    said = refusal(write("patient_id,absorbed_dose_gy\nP1,3,5\nP2,4\n"))
    assert "line 2" in said
    assert "3 cells under 2 column names" in said
    assert "decimal comma?" in said


@pytest.mark.parametrize("cell", ["1.234,5", "1,234.5", "1.234.567", "1,234,567", "-1.234,0"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_thousands_separators(write, cell, separator):
    content = separator.join(["patient_id", "psa_ng_ml"]) + f'\nP1{separator}"{cell}"\n'
    said = refusal(write(content))
    assert "line 2" in said
    assert "thousands" in said


@pytest.mark.parametrize("cells", [["1.234", "2.500"], ["1,234", "12"], ["-3,125"]])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_three_decimals_throughout_may_be_thousands(write, cells, separator):
    lines = "".join(f"P{i}{separator}{cell}\n" for i, cell in enumerate(cells))
    said = refusal(write(f"patient_id{separator}psa_ng_ml\n{lines}"))
    assert "line 2" in said
    assert "thousands" in said


def test_three_decimals_are_plain_where_another_number_proves_the_mark(write):
    frame = read_sites(write("patient_id;psa_ng_ml;suv_mean\nP1;1,234;4,5\nP2;2,500;0,125\n"))
    assert frame["psa_ng_ml"].tolist() == [1.234, 2.5]
    assert read_sites(write("patient_id,psa_ng_ml\nP1,1.234\n"))["psa_ng_ml"].tolist() == [1.234]


@pytest.mark.parametrize(
    "content",
    [
        "patient_id;suv_mean\nP1;3,5\nP2;3.5\n",
        "patient_id;suv_mean;suv_max\nP1;3,5;7.25\n",
        "patient_id;suv_mean;volume_ml\nP1;3,5;1.234\n",
    ],
)
def test_mixed_decimal_marks(write, content):
    said = refusal(write(content))
    assert "mixed" in said
    assert "'3,5'" in said


def test_words_with_commas_prove_nothing(write):
    frame = read_sites(write("patient_id;suv_mean;levels\nP1;3.5;1,2\nP2;4.5;L1\n"))
    assert frame["suv_mean"].tolist() == [3.5, 4.5]
    assert frame["levels"].tolist() == ["1,2", "L1"]


def test_a_comma_in_a_column_name_is_no_separator(write):
    frame = read_sites(write("patient_id;dose (Gy, mean);x\nP1;3,5;1\nP2;4;2\n"))
    assert list(frame) == ["patient_id", "dose (Gy, mean)", "x"]


def test_two_possible_separators(write):
    said = refusal(write("patient_id,a;b\nP1,3;5\n"))
    assert "comma and semicolon" in said


def test_rows_separated_by_another_character_than_the_names(write):
    said = refusal(write("patient_id,suv_mean\nP1;3,5\nP2;4,5\n"))
    assert "semicolon" in said


@pytest.mark.parametrize(
    "content", ["patient_id\nP1\n", "a|b\n1|2\n", "a b\n1 2\n", "# made by x\n"]
)
def test_no_separator(write, content):
    assert "no comma, semicolon or tab" in refusal(write(content))


def test_ragged_lines(write):
    assert "line 3: 1 cells under 2" in refusal(write("patient_id,suv_mean\nP1,1.5\nP2\n"))


def test_lines_of_separators(write):
    assert "line 3" in refusal(write("patient_id;suv_mean\nP1;1,5\n;\n"))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("patient_id,suv_mean,suv_mean", "'suv_mean'"),
        ("patient_id, suv_mean,suv_mean ", "'suv_mean'"),
        (",patient_id,suv_mean", "index=False"),
        ("patient_id,,suv_mean", "column 2 has no name"),
    ],
)
def test_column_names_that_are_absent_or_repeated(write, header, said):
    assert said in refusal(write(f"{header}\nP1,1,2\n"))


@pytest.mark.parametrize("content", ["", "\n\n", "patient_id,suv_mean\n"])
def test_files_without_rows(write, content):
    refusal(write(content))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_other_unicode_encodings(write, encoding):
    said = refusal(write(POINT.encode(encoding)))
    assert "save it as 'CSV UTF-8'" in said


def test_latin_1(write):
    said = refusal(write("patient_id,tissue\nP1,x\nP2,Ohrspeicheldrüse\n".encode("latin-1")))
    assert "line 3: byte 0xfc" in said
    assert "save it as 'CSV UTF-8'" in said


@pytest.mark.parametrize("line", ['P1,"open\nP2,2\n', 'P1,"a"b\n'])
def test_broken_quotation_marks(write, line):
    assert "quotation marks" in refusal(write(f"patient_id,suv_mean\n{line}"))


def test_files_that_are_not_there_or_of_another_kind(write, tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.csv")
    assert "is a folder" in refusal(tmp_path)
    assert "empty" in refusal(write("\n"))
    assert ".xls" in refusal(write("x", "old.xls"))
    assert "sheet='A'" in refusal(write(POINT), sheet="A")


def test_real_tables(test_data):
    for path in test_data.glob("*/*.csv"):
        read = read_sites(path)
        assert len(read) == len(pd.read_csv(path)), path


def test_words_of_a_map_that_miss_the_table(write):
    path = write("patient_id,site_id,tissue\nP1,L,Niere\n")
    with pytest.warns(UserWarning, match=r"has no 'Nieren'.*it has 'Niere', which it does not"):
        table = read_sites(path, columns={"tissue": {"kidney": ["Nieren"]}})
    assert list(table["tissue"]) == ["Niere"]


def test_control_characters_in_a_label(write):
    table = read_sites(write("patient_id,site_id,tissue,suv_mean\nP\x1b[1m,L,kidney,3\n"))
    with pytest.raises(SiteTableError, match="control characters"):
        validate_sites(table, response_required=False)
