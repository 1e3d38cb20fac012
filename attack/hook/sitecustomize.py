"""Python runs this where its folder is on PYTHONPATH: child processes of the program are ended at their n-th file call."""

import os
import sys
from pathlib import Path

if "AVATAR_PIPELINE_ATTACK" in os.environ:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from attack.deaths import install_from_environment

    sys.path.pop(0)
    install_from_environment()
