"""How the documentation is built: `make docs`."""

from bayesdose import __version__

project = "bayesdose"
author = "The bayesdose contributors"
copyright = author
release = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
# `name` in a docstring is a link where there is such a name.
default_role = "py:obj"

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_default_options = {"members": True}
# Types with shape and unit stand in the docstrings.
autodoc_typehints = "none"
# Methods are listed by autodoc already.
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"bayesdose {release}"
