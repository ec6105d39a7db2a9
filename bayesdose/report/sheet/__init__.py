"""One printable page for one patient: predicted doses, stated limits, what was not known."""
