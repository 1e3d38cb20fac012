#!/usr/bin/env bash
# Opens Avatar Pipeline; where it is not installed yet, or was cut off while it was, install.sh comes first. Words go to the program.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
if [ ! -f .venv/installed ]; then
    bash ./install.sh || exit
fi
exec .venv/bin/python avatar_pipeline.py "$@"
