"""A report in Markdown and in HTML."""

import re

import numpy as np
import pandas as pd
import pytest

from benchmarks.figures import as_svg, drawing, on_paper
from benchmarks.machine import PACKAGES
from benchmarks.report import Report, list_page

MACHINE = ("cpu", "cores", "system", "python", *PACKAGES)


@pytest.fixture(scope="module")
def svg():
    """A drawing with a line and a clip path."""
    with drawing() as (figure, ax):
        ax.plot([0, 1], [0, 1])
        ax.set_title("line & <mark>")
        return as_svg(figure)


def test_markdown():
    report = Report("Title")
    report.add("Some `code`.")
    report.add_list(["k*tree", "**b**"])
    report.add_table(["x", "y"], [["a|b", "1 (two)"]], "Numbers")
    assert report.markdown() == (
        "# Title\n\nSome `code`.\n\n- k\\*tree\n- **b**\n\n"
        "Numbers\n\n| x | y |\n| --- | --- |\n"
        "| a\\|b | 1 (two) |\n"
    )


def test_a_table_is_a_table_in_html_too():
    report = Report("T")
    report.add_table(["x", "k*tree"], [["a|b", "1 (two)"]], "Numbers")
    page = report.html()
    assert "<th>k*tree</th>" in page
    assert "<td>a|b</td>" in page


def test_a_copied_page_is_listed_once(tmp_path):
    contents = tmp_path / "results.md"
    contents.write_text("# Measured\n\n```{toctree}\n:maxdepth: 1\n\nfit\nlast\n```\n")
    for _ in range(2):
        list_page(contents, "peers-letter")
    assert contents.read_text() == (
        "# Measured\n\n```{toctree}\n:maxdepth: 1\n\nfit\npeers-letter\nlast\n```\n"
    )


def test_html_escapes_what_is_not_markup():
    report = Report("a < b")
    report.add("`x<y` and **k*tree** & co", "<script>no</script>")
    page = report.html()
    assert "<h1>a &lt; b</h1>" in page
    assert "<code>x&lt;y</code> and <strong>k*tree</strong> &amp; co" in page
    assert "<title>a &lt; b</title>" in page
    assert "<script" not in page


def test_pictures_beside_markdown(tmp_path, svg):
    report = Report("T")
    report.add_pictures("two", [svg, svg], "Both")
    assert report.write(tmp_path / "page.md")[1].exists()
    text = (tmp_path / "page.md").read_text()
    names = re.findall(r"\]\(([^)]+)\)", text)
    assert names == ["figures/two-1.svg", "figures/two-2.svg"]
    for name in names:
        content = (tmp_path / name).read_text()
        assert content.startswith("<?xml")
        # Paper of its own, in both modes: pages show it as an image.
        assert ".paper{fill:#ffffff}" in content
        assert "prefers-color-scheme:dark" in content
    assert text.count("![Both]") == 2


def test_names_in_two_drawings_do_not_meet(svg):
    report = Report("T")
    report.add_pictures("two", [svg, svg], "Both")
    page = report.html()
    names = re.findall(r'\bid="([^"]+)"', page)
    assert "url(#two-1-" in page
    assert "url(#two-2-" in page
    assert len(names) == len(set(names))
    assert "line &amp; &lt;mark&gt;" in page


def test_a_drawing_is_always_the_same(svg):
    with drawing() as (figure, ax):
        ax.plot([0, 1], [0, 1])
        ax.set_title("line & <mark>")
        assert as_svg(figure) == svg
    assert "currentColor" in svg
    assert on_paper(svg).index("<rect") > on_paper(svg).index("<svg")


def test_peers_report_ranks_and_lists_who_is_missing():
    from benchmarks.peers.peers_report import make_report

    conditions = dict.fromkeys(MACHINE, "x") | {"n_features": "2", "scaled": "True"}
    conditions |= {"n_train": "90", "n_test": "30"}
    metrics = (
        "macro_f1", "batch_us", "single_p50_us", "single_p99_us", "fit_seconds",
        "tuning_seconds", "peak_megabytes", "model_megabytes",
    )  # fmt: skip
    rows = [
        {"method": method, "metric": metric, "value": value} | conditions
        for method, accuracy in (("slow", "0.5"), ("ours: lookup", "0.75"))
        for metric, value in [
            ("settings", '{"k": 3}'),
            ("accuracy", accuracy),
            *((m, "1500" if m == "batch_us" else "2") for m in metrics),
        ]
    ]
    frame = pd.DataFrame(rows)
    text = make_report("own", frame, {"annoy": "the package is missing"}).markdown()
    assert text.index("| ours: lookup | 75.00 |") < text.index("| slow | 50.00 |")
    assert "| slow | 50.00 | 200.00 | 1 500 |" in text
    assert "| slow | defaults | - | k=3 |" in text
    assert "- annoy: the package is missing" in text


def test_peers_report_states_what_was_fixed_and_what_was_chosen_among():
    from benchmarks.peers.catalog import peers
    from benchmarks.peers.peers_report import settings_lines

    lines = settings_lines({peer.name: {"k": 5} for peer in peers()})
    rows = {row[0]: row[1:] for row in lines}
    votes = "k 1, 3, 5, 10, 20; weights uniform, distance"
    assert rows["sklearn brute"] == ["defaults", votes, "k=5"]
    assert rows["hnswlib + vote"][:2] == [
        "M=16, ef_construction=200, ef at least k",
        f"{votes}; ef 16, 32, 64, 128",
    ]
    assert rows["SVC"][1] == "C 1.0, 10.0, 100.0; gamma_factor 0.3, 1.0, 3.0"
    assert rows["ours: lookup, ef=auto"][:2] == ["ef=auto", "-"]
    assert rows["ours: CV"][0] == "defaults"


def test_made_rows_do_not_depend_on_how_many_are_drawn():
    from benchmarks.made_rows import curved_sheet

    X, y = curved_sheet(60_000, 4, 3, seed=0)
    few, labels = curved_sheet(51_000, 4, 3, seed=0)
    np.testing.assert_array_equal(X[:51_000], few)
    np.testing.assert_array_equal(y[:51_000], labels)
    other, _ = curved_sheet(100, 4, 3, seed=1)
    assert not np.array_equal(X[:100], other)
