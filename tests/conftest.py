import os
from pathlib import Path

import pytest
from hypothesis import settings

# Pictures are drawn without a screen, whatever the machine offers.
os.environ.setdefault("MPLBACKEND", "Agg")

# A deadline would make a busy machine fail what is right: no test is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real tables that are not part of the package; skip where it is not at hand."""
    named = os.environ.get("BAYESDOSE_TEST_DATA")
    if named:
        folder = Path(named)
        if not folder.is_dir():
            pytest.fail(f"BAYESDOSE_TEST_DATA names {named!r}, which is not a folder")
        return folder
    reason = "BAYESDOSE_TEST_DATA does not name a folder of real tables"
    if os.environ.get("BAYESDOSE_REQUIRE_DATA") == "1":
        pytest.fail(f"{reason}, and BAYESDOSE_REQUIRE_DATA=1 allows no skip")
    pytest.skip(reason)
