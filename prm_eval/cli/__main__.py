"""The entry point of ``python -m prm_eval.cli``."""

import sys

from prm_eval.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
