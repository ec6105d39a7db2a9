"""``python -m bayesdose`` is ``python -m bayesdose.cli``."""

import runpy

if __name__ == "__main__":
    runpy.run_module("bayesdose.cli", run_name="__main__", alter_sys=True)
