"""Settings of the documentation; `make docs` builds it."""

import sys
import warnings
from pathlib import Path

import knngraph

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "knngraph"
author = "the knngraph developers"
project_copyright = author
version = release = knngraph.__version__

extensions = [
    "inside_links",
    "mathml",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "parameter_groups",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "_templates",
    "changelog.d",
    "gallery",
    "pictures",
    # Times of the scripts, on pages that fetch scripts from elsewhere.
    "**sg_execution_times.rst",
]
nitpicky = False
# At the side of a page the names of methods alone: there is no room for more.
toc_object_entries_show_parents = "hide"

# A figure of a page is a script in docs/pictures, drawn when the pages are built.
plot_basedir = str(HERE / "pictures")
plot_formats = [("svg", 100)]
plot_html_show_formats = False
plot_html_show_source_link = False
# As wide as a phone and a half, so that letters can still be read on one.
plot_rcparams = {
    "figure.figsize": (5.2, 3.4),
    "font.size": 10.5,
    "svg.hashsalt": "knngraph",
}
plot_apply_rcparams = True

templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "abort_on_example_error": True,
    "backreferences_dir": None,
    "copyfile_regex": r".*\.rst",
    "download_all_examples": False,
    "image_srcset": ["2x"],
    "reset_modules": ("matplotlib", "gallery_style.reset"),
    "min_reported_time": 1e9,
    "remove_config_comments": True,
    "show_signature": False,
    "within_subsection_order": "gallery_style.place",
}
# Figures are shown by the gallery itself.
warnings.filterwarnings("ignore", message=".*non-interactive.*cannot be shown")

# Copied is what runs: no prompts, and no answers either.
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "knngraph"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
# Pages without others below them have nothing to list at the side.
html_sidebars = {name: [] for name in ("index", "start", "search", "genindex")}
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_end": [],
}
