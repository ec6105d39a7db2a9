"""What a report calls patients, sites and centres: other names, unless the labels are asked for."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from bayesdose.dose.training import Fitted
from bayesdose.errors import ConfigError
from bayesdose.report.page import Pseudonyms, pseudonyms, sentence

#: Columns whose words may tell the hospital.
_PLACES = ("centre", "scanner")


@dataclass(frozen=True)
class Names:
    """Names for everything that could tell who or where.

    Parameters
    ----------
    identifiers : bool
        Whether labels are shown as they are.
    trained, new : Pseudonyms
        Of the training table, and of new patients.
    levels : mapping of tuple of str to str
        Column and label of a centre, scanner or group → what is written for it.
    """

    identifiers: bool
    trained: Pseudonyms
    new: Pseudonyms
    levels: Mapping[tuple[str, str], str]

    def text(self, value: object) -> str:
        """A sentence or the name of a parameter, without labels.

        Parameters
        ----------
        value : object
            Text that the package made, which may quote labels.

        Returns
        -------
        str
            At most 2000 characters.
        """
        text = str(value)
        if not self.identifiers:
            for label, name in self.trained.patients.items():
                text = text.replace(repr(label), name)
            text = _replaced(text, self.levels)
        return sentence(text)


def names_of(fitted: Fitted, new: pd.DataFrame | None, identifiers: bool) -> Names:
    """Names for the patients, sites and places of a model and of a table.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    new : pandas.DataFrame or None
        Table of new patients.
    identifiers : bool
        Whether labels are shown as they are.

    Returns
    -------
    Names

    Raises
    ------
    ConfigError
        When ``identifiers`` is neither True nor False.
    """
    if not isinstance(identifiers, bool):
        raise ConfigError(
            f"include_identifiers: got {identifiers!r}; give True or False: any other value could "
            "show labels that nobody asked for"
        )
    encoding = fitted.encoding
    spec = encoding.spec
    trained = None if fitted.training is None else fitted.training.frame
    places = {name: list(fitted.domain.seen.get(name, ())) for name in _PLACES}
    for name, levels in zip(spec.group_effects, encoding.group_levels, strict=True):
        places[name] = [*places.get(name, ()), *levels]
    for name in places:
        if new is not None and name in new.columns:
            places[name] += [str(value) for value in new[name].dropna()]
    called = {
        (name, label): f"{name} {i}"
        for name, labels in places.items()
        for i, label in enumerate(dict.fromkeys(labels), 1)
    }
    columns = (spec.patient, spec.by)
    return Names(
        identifiers,
        pseudonyms(_labels(trained, *columns), identifiers=identifiers),
        pseudonyms(_labels(new, *columns), identifiers=identifiers, word="New patient"),
        called,
    )


def _replaced(text: str, names: Mapping[tuple[str, str], str]) -> str:
    """Labels replaced where the package writes them, and nowhere else.

    A label may be a word or a number that means something else in the same text. Those places
    are reasons of extrapolation, columns of a formula, and the effect of a level.
    """
    for column in dict.fromkeys(column for column, _ in names):
        labels = sorted((label for one, label in names if one == column), key=len, reverse=True)
        any_of, name = "|".join(map(re.escape, labels)), re.escape(column)
        for place in (
            rf"(?<!\w)({name} )({any_of})( not in training)",
            rf"({name}\)?\[(?:T\.)?)({any_of})(\])",
            rf"^(effect_{name}\[.*, )({any_of})(\])$",
        ):
            text = re.sub(place, partial(_renamed, names=names, column=column), text)
    return text


def _renamed(found: "re.Match[str]", names: Mapping[tuple[str, str], str], column: str) -> str:
    before, label, after = found.groups()
    name = names[column, label]
    # "centre 2 not in training", where the column's name is in that of the label
    return f"{name}{after}" if before == f"{column} " else f"{before}{name}{after}"


def _labels(frame: pd.DataFrame | None, patient: str, by: str | None) -> pd.DataFrame:
    wanted: Iterable[tuple[str, str | None]] = (
        ("patient_id", patient),
        ("site_id", "site_id"),
        ("tissue", by),
    )
    if frame is None:
        return pd.DataFrame({name: [] for name, _ in wanted})
    return pd.DataFrame(
        {name: frame[column] if column in frame.columns else "" for name, column in wanted},
        index=frame.index,
    )
