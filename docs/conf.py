"""The documentation site (`make docs`): the Markdown of this repository as pages, and the API from docstrings.

The source folder is the root of the repository, so that links between README.md, docs/ and the READMEs of other folders
hold as they are, and a link to any other file becomes a download. The navigation is what docs/README.md lists. A page
that it does not list is a warning, and so is a link that leads nowhere; `make docs` takes warnings as errors.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["HF_HUB_OFFLINE"] = "1"

from zooter_core import __version__ as release  # noqa: E402

project = "Zooter"
copyright = "the Zooter contributors, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
FLEETS = ("embedded", "starter", "open-models", "endpoints", "gguf", "qwen", "paper-13b")  # not those that Train saved
include_patterns = ["*.md", "docs/**", "benchmarks/README.md", *(f"models/{name}/README.md" for name in FLEETS)]
exclude_patterns = [".*", "runs", "site", "tests", "zooter_core", "**/__pycache__"]

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
default_role = "code"  # docstrings have names between single backticks
smartquotes = False  # they would also turn the -- of an option into a dash
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"Zooter {release}"
html_favicon = "../zooter_core/ui/mark.svg"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}

NAVIGATION = {
    "README": "docs/README",
    "docs/notebook/README": "docs/notebook/README",
}  # page -> where its pages are listed
PICTURE = re.compile(r'<picture>\n<source .*?srcset="([^"]+)">\n<img src="([^"]+)" (.*?)>\n</picture>')
LISTED = re.compile(r"(?m)^\| \[[^\]]+\]\(([^)]+)\)")


def contents(listing: str) -> str:
    """A table of contents for each section of a page that lists pages; its title is the caption."""
    folder = Path(listing).parent.as_posix()
    trees = [] if listing in NAVIGATION else [f"```{{toctree}}\n:hidden:\n\n/{listing}\n```"]
    for section in (ROOT / f"{listing}.md").read_text(encoding="utf-8").split("\n## "):
        title, _, body = section.partition("\n")
        caption = "" if title.startswith("# ") else f":caption: {title}\n"
        if pages := LISTED.findall(body):
            trees.append(
                f"```{{toctree}}\n:hidden:\n{caption}\n" + "\n".join(f"/{folder}/{page}" for page in pages) + "\n```"
            )
    return "\n\n".join(trees)


def adapt_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the navigation, and let pictures follow the reader's choice of light or dark."""
    light_and_dark = r'<img src="\2" class="only-light" \3>\n\n<img src="\1" class="only-dark" \3>'
    source[0] = PICTURE.sub(light_and_dark, source[0])
    if page in NAVIGATION:
        source[0] += "\n\n" + contents(NAVIGATION[page])


def adapt_docstring(app: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Docstrings may write `Piece`s; reStructuredText wants an escaped space before the s."""
    lines[:] = [
        re.sub(r"(`[^`]+`)(\w?)", lambda match: "\\ ".join(filter(None, match.groups())), line) for line in lines
    ]


def open_at_readme(app: Sphinx, problem: Exception | None) -> None:
    """The folder of the site opens at its first page."""
    (app.outdir / "index.html").write_text(f'<meta http-equiv="refresh" content="0; url={root_doc}.html">\n')


def setup(app: Sphinx) -> None:
    app.connect("source-read", adapt_page)
    app.connect("autodoc-process-docstring", adapt_docstring)
    app.connect("build-finished", open_at_readme)
