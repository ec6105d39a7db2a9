"""From files, patients and regions to the site table."""

from bayesdose.measure.table.build import build_site_table, build_time_activity
from bayesdose.measure.table.settings import Dosimetry, Texture

__all__ = ["Dosimetry", "Texture", "build_site_table", "build_time_activity"]
