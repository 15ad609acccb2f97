"""`python -m zooter_core.cli` is `zooter`."""

import sys

from zooter_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
