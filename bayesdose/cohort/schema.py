"""The columns of the site table: their meaning, unit and allowed values.

Units are part of the names. Bounds that only say "wrong unit, most likely" carry the name of a
check, which `validate_sites` can switch off; the others hold always.
"""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

CHECKS = {
    "dose_range": "a cycle's absorbed dose is at most 1000 Gy",
    "activity_range": "an administered activity is at most 50 GBq",
    "egfr_range": "an eGFR lies between 3 and 200 mL/min/1.73 m2",
    "cv_range": "a relative standard uncertainty is at most 2",
    "literature_median": "a tissue's median Gy/GBq is within 50 times of the literature",
    "literature_value": "a single Gy/GBq more than 20 times off the literature is warned about",
}
"""Range checks by name: what each of them asks for."""


@dataclass(frozen=True)
class Column:
    """What one column holds, or the columns whose names match a pattern.

    Parameters
    ----------
    name : str
        Name of the column; ``*`` stands for any ending.
    kind : {"label", "number", "flag"}
        Labels are text or whole numbers and are kept as given.
    meaning : str
        One line for people.
    unit : str
        Unit of the numbers; empty where they have none.
    above, at_least : float, optional
        Bounds that always hold, in the column's unit.
    low, high : float, optional
        Bounds of the range check ``check``, in the column's unit.
    check : str, optional
        Name of the range check, one of `CHECKS`.
    hint : str
        What a value beyond ``low`` or ``high`` most likely is; of an unmixed column, the way out.
    whole : bool
        Only whole numbers are allowed.
    per_cycle : bool
        One value for each patient and cycle, repeated on the rows.
    unmixed : bool
        One value for the whole table, unless the model takes account of it.
    """

    name: str
    kind: Literal["label", "number", "flag"]
    meaning: str
    unit: str = ""
    above: float | None = None
    at_least: float | None = None
    low: float | None = None
    high: float | None = None
    check: str | None = None
    hint: str = ""
    whole: bool = False
    per_cycle: bool = False
    unmixed: bool = False


COLUMNS = (
    Column("patient_id", "label", "patient"),
    Column("site_id", "label", "lesion or organ, unique within the patient"),
    Column(
        "cycle", "number", "therapy cycle; 1 where the column is absent", at_least=1, whole=True
    ),
    Column("tissue", "label", "tissue; any word is allowed"),
    Column("lesion_type", "label", "bone, node, visceral or primary"),
    Column(
        "absorbed_dose_gy",
        "number",
        "measured absorbed dose of that cycle",
        "Gy",
        above=0,
        high=1000,
        check="dose_range",
        hint="cGy? divide by 100; mGy? divide by 1000",
    ),
    Column(
        "absorbed_dose_cv",
        "number",
        "relative standard uncertainty of the dose, independent between sites",
        at_least=0,
        high=2,
        check="cv_range",
        hint="per cent? divide by 100",
    ),
    Column(
        "absorbed_dose_cv_shared",
        "number",
        "relative standard uncertainty common to all sites of the patient and cycle",
        at_least=0,
        high=2,
        check="cv_range",
        hint="per cent? divide by 100",
        per_cycle=True,
    ),
    Column(
        "administered_activity_gbq",
        "number",
        "syringe minus residual at injection",
        "GBq",
        above=0,
        high=50,
        check="activity_range",
        hint="MBq? divide by 1000",
        per_cycle=True,
    ),
    Column("suv_mean", "number", "mean uptake in the PET region", above=0),
    Column("suv_max", "number", "largest uptake in the PET region", above=0),
    Column("suv_peak", "number", "mean uptake in the hottest 1 mL sphere", above=0),
    Column("volume_ml", "number", "volume of the PET region", "mL", above=0),
    Column("mass_g", "number", "mass used for the dose", "g", above=0),
    Column("total_lesion_uptake", "number", "suv_mean times volume_ml", "SUV mL", above=0),
    Column("tumour_to_*", "number", "uptake of the lesion over that of an organ", above=0),
    Column("glcm_n_voxels", "number", "voxels behind the texture features", at_least=0),
    Column("glcm_below_guard", "flag", "whether the region is too small for texture"),
    Column(
        "glcm_settings",
        "label",
        "how the texture features were made",
        unmixed=True,
        hint="make all features with one setting, or leave the glcm columns out",
    ),
    Column("glcm_*", "number", "texture feature, IBSI name in snake case"),
    Column(
        "ibsi_settings",
        "label",
        "how the other IBSI features were made",
        unmixed=True,
        hint="make all features with one setting, or leave the ibsi columns out",
    ),
    Column("ibsi_*", "number", "other image feature by its IBSI code"),
    Column(
        "egfr_ml_min_1p73m2",
        "number",
        "estimated glomerular filtration rate",
        "mL/min/1.73 m2",
        above=0,
        low=3,
        high=200,
        check="egfr_range",
        hint="another unit?",
        per_cycle=True,
    ),
    Column("egfr_*", "number", "filtration rate by another equation", above=0, per_cycle=True),
    Column("psa_*", "number", "prostate-specific antigen", at_least=0, per_cycle=True),
    Column("psma_tv_*", "number", "whole-body tumour volume", at_least=0, per_cycle=True),
    Column("pet_tracer", "label", "tracer of the PET", per_cycle=True, unmixed=True),
    Column("therapy_ligand", "label", "ligand of the therapy", per_cycle=True, unmixed=True),
    Column("centre", "label", "hospital", per_cycle=True, unmixed=True),
    Column("scanner", "label", "PET scanner", per_cycle=True, unmixed=True),
    Column("dose_method", "label", "how the dose was measured", unmixed=True),
    Column("pet_uptake_min", "number", "injection to PET", "min", above=0, per_cycle=True),
)
"""The schema; the first entry whose name matches a column describes it."""


def column_of(name: object) -> Column | None:
    """Find the schema entry that describes a column.

    Parameters
    ----------
    name : str
        Name of the column.

    Returns
    -------
    Column or None
        The entry, or None for a column that the schema does not know.
    """
    return next((column for column in COLUMNS if fnmatchcase(str(name), column.name)), None)


def schema_of(
    names: list[str], *, response: str, patient: str, by: str | None, activity: str | None
) -> dict[str, Column]:
    """Describe the columns of a table whose roles may have other names.

    A response whose name carries no ``_gy``, in a table without tissues and activities, is taken
    for a quantity in a unit of its own: the range check of absorbed doses leaves it alone.

    Parameters
    ----------
    names : list of str
        Columns of the table.
    response, patient, by, activity : str or None
        Columns in the roles of ``absorbed_dose_gy``, ``patient_id``, ``tissue`` and
        ``administered_activity_gbq``.

    Returns
    -------
    dict of str to Column
        The known columns, each under its name in the table.
    """
    known = {name: column for name in names if (column := column_of(name)) is not None}
    roles = {
        response: "absorbed_dose_gy",
        patient: "patient_id",
        by: "tissue",
        activity: "administered_activity_gbq",
    }
    for name, role in roles.items():
        described = column_of(role)
        if name is not None and name in names and described is not None:
            known[name] = described
    if by is None and activity is None and not response.endswith("_gy") and response in known:
        known[response] = replace(known[response], unit="", high=None, check=None)
    return known


def allowed_values(column: Column, off: frozenset[str]) -> str:
    """Say in words which values a column may hold.

    Parameters
    ----------
    column : Column
        The column.
    off : frozenset of str
        Range checks that are switched off.

    Returns
    -------
    str
        For example ``"a number above 0 and at most 50 GBq"``.
    """
    if column.kind == "label":
        return "text or a number, without blanks around it"
    bounds = []
    if column.check is not None and column.check not in off and column.low is not None:
        bounds.append(f"from {column.low:g}")
    elif column.above is not None:
        bounds.append(f"above {column.above:g}")
    elif column.at_least is not None:
        bounds.append(f"from {column.at_least:g}")
    if column.check is not None and column.check not in off and column.high is not None:
        bounds.append(f"at most {column.high:g}")
    noun = "a whole number" if column.whole else "a finite number"
    return " ".join(filter(None, (noun, " and ".join(bounds), column.unit)))
