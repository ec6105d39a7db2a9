"""Random effects of rows beyond those of the patient: which rows share one, and how large it is.

Patient-by-cycle effects w, site effects v, the residual e, and effects of group levels that the
training table did not have. A persistent residual is one residual a site, shared by its cycles.
"""

from dataclasses import dataclass

import numpy as np

from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.posterior import Draws


@dataclass(frozen=True)
class Effect:
    """One kind of effect in n rows, at S draws.

    Parameters
    ----------
    index : numpy.ndarray of int of shape (n,)
        Number of the effect in each row; rows with the same number share it.
    sd : numpy.ndarray of shape (k, S)
        Standard deviations.
    column : numpy.ndarray of int of shape (n,)
        Which of them each row has.
    """

    index: np.ndarray
    sd: np.ndarray
    column: np.ndarray

    def scale(self, place: np.ndarray | slice) -> np.ndarray:
        """Standard deviation of the effect in some rows.

        Parameters
        ----------
        place : numpy.ndarray of int, or slice
            Rows.

        Returns
        -------
        numpy.ndarray of shape (n_rows, S)
        """
        return self.sd[self.column[place]]


def row_effects(encoding: Encoding, draws: Draws, rows: Rows, *, persistent: bool) -> list[Effect]:
    """Effects of rows of any patients.

    Parameters
    ----------
    encoding : Encoding
        Learnt model, of a likelihood with a normal residual.
    draws : Draws
        S draws.
    rows : Rows
        n rows.
    persistent : bool
        Whether rows of one site share one residual.

    Returns
    -------
    list of Effect
        The residual last.
    """
    n, n_tissues = len(rows.tissue), len(encoding.tissues)
    found = []
    if any(encoding.cycle_effect):
        found.append(Effect(rows.cycle * n_tissues + rows.tissue, draws.cycle_sd.T, rows.tissue))
    if any(encoding.site_effect):
        found.append(Effect(rows.site, draws.site_sd.T, rows.tissue))
    for g in range(rows.groups.shape[1]):
        unseen = rows.groups[:, g] < 0
        if unseen.any():
            # levels that training knew have coefficients: here they have an effect of size 0
            sd = np.stack([np.zeros(len(draws)), draws.group_sd[:, g]])
            level = np.where(unseen, -rows.groups[:, g], 0)
            found.append(Effect(level * n_tissues + rows.tissue, sd, unseen.astype(int)))
    index = rows.site * n_tissues + rows.tissue if persistent else np.arange(n)
    found.append(Effect(index, draws.residual_sd.T, rows.tissue))
    return found
