"""Runs `zooter` as `python -m zooter_core.cli`."""

import sys

from zooter_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
