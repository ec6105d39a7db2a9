"""Headers of one series, and single values of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom

from bayesdose.errors import MeasureError

#: SOP classes that can be read → modality.
MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.481.2": "RTDOSE",
}
_DRUG = "RadiopharmaceuticalInformationSequence"


@dataclass(frozen=True)
class Headers:
    """Headers of the files of one series, which speak with one voice.

    Parameters
    ----------
    datasets : sequence of pydicom.Dataset
        One a file.
    name : str
        Of the file or folder, for messages.
    """

    datasets: Sequence[pydicom.Dataset]
    name: str

    @property
    def modality(self) -> str:
        """Modality that the SOP class stands for, whatever the modality attribute says.

        Returns
        -------
        str
        """
        return MODALITIES[self.datasets[0].SOPClassUID]

    def refused(self, text: str) -> MeasureError:
        """Error about this series.

        Parameters
        ----------
        text : str
            What is wrong.

        Returns
        -------
        MeasureError
        """
        return MeasureError(f"{self.name}: {text}")

    def one(self, keyword: str) -> Any:
        """Value of an attribute that is the same in all files.

        Parameters
        ----------
        keyword : str
            Such as ``"Units"``.

        Returns
        -------
        str, float, tuple or None
            None where it is absent or empty.

        Raises
        ------
        MeasureError
            When files differ in it, or it cannot be read.
        """
        return self.agreed(keyword, lambda dataset: dataset.get(keyword))

    def drug(self, keyword: str) -> Any:
        """Value of an attribute of the injected radiopharmaceutical.

        Parameters
        ----------
        keyword : str
            Such as ``"RadionuclideTotalDose"``.

        Returns
        -------
        str, float, tuple or None
            None where it is absent or empty.

        Raises
        ------
        MeasureError
            When files differ in it, or there are several radiopharmaceuticals.
        """

        def of(dataset: pydicom.Dataset) -> Any:
            items = dataset.get(_DRUG) or []
            if len(items) > 1:
                raise self.refused(
                    f"{_DRUG} lists {len(items)} injections; only scans after one are read: split "
                    "the doses yourself and give activity and time to suv_factor"
                )
            return items[0].get(keyword) if len(items) else None

        return self.agreed(keyword, of)

    def private(self, creator: str, group: int, element: int) -> Any:
        """Value of a private attribute, whose creator must be the one that is named.

        Parameters
        ----------
        creator : str
            Such as ``"GEMS_PETD_01"``.
        group, element : int
            Such as 0x0009 and 0x0d.

        Returns
        -------
        str, float or None
            None where it is absent.

        Raises
        ------
        MeasureError
            When files differ in it.
        """

        def of(dataset: pydicom.Dataset) -> Any:
            try:
                value = dataset.private_block(group, creator)[element].value
            except KeyError:
                return None
            return value.decode("ascii", "replace") if isinstance(value, bytes) else value

        return self.agreed(f"({group:04x},xx{element:02x}) of {creator}", of)

    def number(self, keyword: str, find: Callable[[str], Any] | None = None) -> float | None:
        """Number above 0 that is the same in all files.

        Parameters
        ----------
        keyword : str
            Such as ``"PatientWeight"``.
        find : callable, optional
            Where to look for it: `one` unless given.

        Returns
        -------
        float or None
            None where it is absent or 0, which is how scanners write unknown.

        Raises
        ------
        MeasureError
            When it is no number, or below 0.
        """
        value = (find or self.one)(keyword)
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError) as err:
            raise self.refused(f"{keyword} holds no number") from err
        if not np.isfinite(number) or number < 0:
            raise self.refused(f"{keyword} is {number:g}; it must be above 0, or absent")
        return number or None

    def agreed(self, what: str, find: Callable[[pydicom.Dataset], Any]) -> Any:
        """Value that is the same in all files.

        Parameters
        ----------
        what : str
            Its name, for messages.
        find : callable
            Takes the header of a file and gives the value.

        Returns
        -------
        str, float, tuple or None
            None where it is absent or empty.

        Raises
        ------
        MeasureError
            When files differ in it, or it cannot be read.
        """
        try:
            values = list(dict.fromkeys(_plain(find(dataset)) for dataset in self.datasets))
        except MeasureError:
            raise
        except (TypeError, ValueError) as err:
            raise self.refused(f"{what} cannot be read: its value is malformed") from err
        if len(values) > 1:
            # An identity never enters a message.
            shown = "" if what.startswith("Patient") else f" ({values[0]} and {values[1]})"
            raise self.refused(
                f"{what} differs between files of the series{shown}: give the files of one scan"
            )
        return values[0]


def _plain(value: Any) -> Any:
    """Hashable value, so that 1.0 and 1.00 are the same; None where there is none."""
    if isinstance(value, pydicom.Sequence):
        return " / ".join(str(item.get("CodeMeaning", "")) for item in value) or None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(_plain(one) for one in value) or None
    return float(value) if isinstance(value, int | float) else value


def stated_number(dataset: pydicom.Dataset, keyword: str, headers: Headers) -> float | None:
    """Number that one file states.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Header of the file, or an item of it.
    keyword : str
        Such as ``"RescaleSlope"``.
    headers : Headers
        Of the series, for messages.

    Returns
    -------
    float or None
        None where it is absent or empty.

    Raises
    ------
    MeasureError
        When it is no finite number.
    """
    value = dataset.get(keyword)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as err:
        raise headers.refused(f"{keyword} holds no number") from err
    if not np.isfinite(number):
        raise headers.refused(f"{keyword} is {number:g}; it must be finite")
    return number
