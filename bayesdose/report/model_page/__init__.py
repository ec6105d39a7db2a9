"""The report of a fitted dose model: one HTML page, a module a section."""
