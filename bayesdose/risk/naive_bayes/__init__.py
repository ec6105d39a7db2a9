"""Naive Bayes over several kinds of measurement, with priors and exact contributions."""

from bayesdose.risk.naive_bayes.model import MultimodalNaiveBayes
from bayesdose.risk.naive_bayes.prior import NaiveBayesPrior
from bayesdose.risk.naive_bayes.recalibration import Recalibrated

__all__ = ["MultimodalNaiveBayes", "NaiveBayesPrior", "Recalibrated"]
