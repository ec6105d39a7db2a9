"""From patients to risk: published clinical scores; models of outcome are to come."""

from bayesdose.risk import scores

__all__ = ["scores"]
