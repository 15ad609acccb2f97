"""The demo's server: Streamlit on app.py, started by `zooter demo`."""

from __future__ import annotations

import sys
from pathlib import Path

from zooter_core.terminal import guard

APP = Path(__file__).resolve().parents[2] / "app.py"


def serve() -> None:
    """Become the server, with the options of Streamlit's own command line in `sys.argv`."""
    guard()  # before Streamlit, whose loggers remember stderr: an exception may quote anybody
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web.cli import main

    # Else Streamlit takes the folder pages/ for its older kind of pages until app.py has run once: a first visit to
    # /compare would show that page without the frame.
    PagesManager.uses_pages_directory = False
    sys.argv = ["streamlit", "run", str(APP), "--logger.enableRich=false", *sys.argv[1:]]
    main()


if __name__ == "__main__":
    serve()
