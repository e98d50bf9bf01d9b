"""The card of an answer as a page, in a frame, as a picture, and in a browser."""

import base64
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from knngraph import KNNGraphClassifier
from knngraph.html_page import html_page, picture
from knngraph.inspection import ExplanationDisplay, explain_table
from tests.commands.pages import Page

ATTACK = "<script>document.title='attacked'</script>'\"&$_{<img onerror=f()>"
# What a page must show, each of a kind of place where it could end up.
ATTACKS = [
    '"><img src=x onerror="document.title=\'attacked\'">',
    "'><svg onload=document.title='attacked'>",
    "</style></title><script>document.title='attacked'</script>",
    "javascript:document.title='attacked'",
    "--></iframe><script>top.document.title='attacked'</script>",
    "&lt;script&gt;&#x22; onload=1",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def digits_model():
    X, y = load_digits(return_X_y=True)
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    return model.fit(X[:500], y[:500]), X[500:]


@pytest.fixture(scope="module")
def attacked():
    """Answers with hostile names of columns and rows, labels, categories and texts."""
    random = np.random.default_rng(0)
    numbers = [ATTACK, *ATTACKS]
    frame = pd.DataFrame(random.normal(size=(80, len(numbers))), columns=numbers)
    frame["kind"] = random.choice(["plain", *numbers], 80)
    frame.index = [f"{numbers[i % len(numbers)]} {i}" for i in range(80)]
    labels = np.where(frame[ATTACK] > 0, ATTACK, f"not {ATTACK}")
    labels[4::5] = np.resize(ATTACKS, 16)
    columns = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(), ["kind"])
    )
    classifier = KNNGraphClassifier(
        inference="adaptive", metric="euclidean", random_state=0
    )
    rows = make_pipeline(columns, classifier).fit(frame[:60], labels[:60])
    texts = [
        f"{('to go', 'to come')[i % 2]} {numbers[i % len(numbers)]} {ATTACK} " * 3
        for i in range(60)
    ]
    of_texts = make_pipeline(
        TfidfVectorizer(), KNNGraphClassifier(metric="cosine", random_state=0)
    ).fit(texts, labels[:60])
    return [
        explain_table(rows, frame[60:61], training=frame[:60])[0],
        explain_table(of_texts, texts[:1], training=texts)[0],
        classifier.explain(rows[:-1].transform(frame[60:61]))[0],
    ]


def test_a_page_says_what_the_explanation_says(digits_model):
    model, queries = digits_model
    for said in model.explain(queries[:5]):
        page = Page(said.to_html(given=7))
        page.check_harmless()
        assert f"Row {said.query}: {said.predicted} (its label: 7)" in page.texts
        novel = "yes" if said.novelty_pvalue <= 0.05 else "no"
        assert f"{novel}: {100 * said.novelty_pvalue:.3g}% of the training" in page.text
        assert f"Nearest rows of class {said.others[0].label}" in page.texts
        for voter in said.voters[:8]:
            assert f"row {voter.row}" in page.texts
            assert f"{voter.distance:.3g}" in page.texts
        for share in np.sort(said.probabilities)[-8:]:
            assert f"{share:.1%}" in page.texts
    np.testing.assert_array_equal(
        [e.novelty_pvalue for e in model.explain(queries[:5])],
        model.novelty_pvalue(queries[:5]),
    )


@pytest.mark.parametrize(
    ("pvalue", "share"), [(1.0, "100%"), (0.999, "99.9%"), (0.0005, "0.05%")]
)
def test_a_share_is_written_out(digits_model, pvalue, share):
    model, queries = digits_model
    said = replace(model.explain(queries[:1])[0], novelty_pvalue=pvalue)
    assert f" {share} of the training" in Page(said.to_html()).text


def test_the_prediction_set_is_that_of_the_estimator():
    # Two classes that nothing tells apart.
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300] % 5 * 2 + np.random.default_rng(0).integers(0, 2, 300)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    sets = model.predict_set(X[:40], alpha=0.1)
    assert sets.sum(axis=1).max() > 1
    for said, expected in zip(model.explain(X[:40]), sets):
        assert sorted(said.label_set) == np.flatnonzero(expected).tolist()
        assert said.label_set[0] == said.predicted
        names = ", ".join(map(str, said.label_set))
        assert any(t.startswith(f"{names}: ") for t in Page(said.to_html()).texts)


def test_the_prediction_set_is_named(digits_model):
    model, queries = digits_model
    card = model.explain(queries[:1])[0].to_card()
    named = dict(type(card)(**{**vars(card), "label_set": (3, 8)}).facts)
    assert named["Set at 90%"].startswith("3, 8: ")
    named = dict(type(card)(**{**vars(card), "label_set": tuple(range(20))}).facts)
    assert ", 11, 8 more: " in named["Set at 90%"]


def test_rows_are_images(digits_model):
    model, queries = digits_model
    (said,) = model.explain(queries[:1])
    page = Page(said.to_html(image_shape=(8, 8)))
    page.check_harmless()
    # The query; every voter and every other row, with its shares.
    n_rows = min(8, len(said.voters)) + len(said.others)
    assert len(page.images) == 2 + 2 * n_rows
    assert all(alt for alt in page.alts)
    assert f"row {said.voters[0].row} as an image, class {said.voters[0].label}" in (
        page.alts
    )
    assert page.images[0] == Page(picture(queries[0].reshape(8, 8), "")).images[0]
    assert not any("columns of 64" in text for text in page.texts)
    # In a table the images are those of its cells.
    (table,) = explain_table(model, queries[:1])
    assert table.to_html(image_shape=(8, 8)) == said.to_html(image_shape=(8, 8))


@pytest.mark.parametrize("shape", [(8,), "ab", (8, 8, 4), (0, 8), (8.0, 8), 8])
def test_shapes_that_are_none(digits_model, shape):
    model, queries = digits_model
    (said,) = model.explain(queries[:1])
    with pytest.raises(ValueError, match="image_shape must be a height and a width"):
        said.to_html(image_shape=shape)


def test_a_shape_of_other_rows(digits_model):
    model, queries = digits_model
    (said,) = model.explain(queries[:1])
    with pytest.raises(ValueError, match=r"\(8, 9\) has 72 numbers, but a row has 64"):
        said.to_html(image_shape=(8, 9))


def test_pixels_of_a_picture():
    pixels = np.array([[0.0, 5.0, 10.0], [np.nan, np.inf, 10.0]])
    (source,) = Page(picture(pixels, "x")).images
    png = base64.b64decode(source.partition("base64,")[2])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">2I", png[16:24]) == (3, 2)
    length = struct.unpack(">I", png[33:37])[0]
    lines = zlib.decompress(png[41 : 41 + length])
    assert list(lines) == [0, 0, 128, 255, 0, 0, 255, 255]
    # Matplotlib reads the same, also colors and a picture of one value.
    image = pytest.importorskip("matplotlib.image")
    import io

    for shape in [(2, 3, 3), (1, 1), (5, 4)]:
        pixels = np.arange(np.prod(shape), dtype=float).reshape(shape)
        (source,) = Page(picture(pixels, "x")).images
        read = image.imread(io.BytesIO(base64.b64decode(source.partition("64,")[2])))
        np.testing.assert_allclose(read, pixels / max(pixels.max(), 1), atol=1 / 255)


def test_texts_stand_before_the_words_that_make_them_near():
    words = ["the ball flew over the goal of the other team once more in the evening"]
    words += ["the rocket flew around the moon and its crew slept for most of the time"]
    texts = pd.Series([f"{text} {i}" for i, text in enumerate(words * 20)], name="note")
    model = make_pipeline(
        TfidfVectorizer(), KNNGraphClassifier(metric="cosine", random_state=0)
    ).fit(texts, ["sport", "space"] * 20)
    (said,) = explain_table(model, ["their rocket and its crew"], training=texts)
    assert said.columns[0] == "text"
    assert {"rocket", "crew"} <= set(said.columns)
    page = Page(said.to_html())
    assert texts[said.voters[0].name] in page.texts
    assert {"rocket", "crew"} <= set(page.texts)
    # Words without a part have no line.
    assert max(said.relevance[list(said.columns).index("ball")], 0) == 0


def test_whatever_a_name_holds_is_shown(attacked):
    for said in attacked:
        page = Page(said.to_html(given=ATTACK, title=ATTACK))
        page.check_harmless()
        assert "img" not in page.tags
        assert ATTACK in page.texts
        assert any(ATTACK[:30] in text for text in page.texts)
        frame = said._repr_html_()
        assert frame.count("<") == 2
        assert frame.startswith("<iframe sandbox ")


def test_a_picture_of_hostile_names(attacked):
    plt = pytest.importorskip("matplotlib.pyplot")
    for said in attacked:
        display = ExplanationDisplay(explanation=said).plot()
        display.figure_.canvas.draw()
        plt.close(display.figure_)


def test_a_picture_draws_the_vote(digits_model):
    plt = pytest.importorskip("matplotlib.pyplot")
    model, queries = digits_model
    (said,) = model.explain(queries[:1])
    display = ExplanationDisplay.from_estimator(
        model, queries[:1], image_shape=(8, 8)
    ).plot()
    likely, voted, images = display.ax_
    widths = [bar.get_width() for bar in voted.patches]
    np.testing.assert_allclose(widths, [v.weight for v in said.voters[:8]])
    widths = [bar.get_width() for bar in likely.patches]
    assert sum(widths) == pytest.approx(1.0)
    assert len(images.child_axes) == min(5, 1 + len(said.voters)) + 3
    plt.close(display.figure_)
    with pytest.raises(ValueError, match="X must be one row, got 2"):
        ExplanationDisplay.from_estimator(model, queries[:2])


def test_contrast_of_the_page():
    # WCAG 2, level AA: text has a contrast of 4.5 to what is behind it.
    source = html_page("x", [])
    for block in re.findall(r":root \{(.*?)\}", source, re.DOTALL):
        colors = dict(re.findall(r"--(\w+): (#\w{6});", block))
        paper, shade = colors["paper"], "#0072b2"
        darkest = blended(shade, paper, 0x60 / 255)
        for text, behind in [
            ("ink", paper),
            ("soft", paper),
            ("mark", paper),
            ("ink", colors["panel"]),
            ("ink", darkest),
        ]:
            assert contrast(rgb(colors[text]), behind) >= 4.5, (text, behind)
    assert "td[style] small { color: inherit; }" in source


def rgb(color):
    if not isinstance(color, str):
        return np.asarray(color)
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def blended(color, paper, share):
    return share * rgb(color) + (1 - share) * rgb(paper)


def contrast(text, behind):
    """Contrast ratio of https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""

    def luminance(color):
        color = rgb(color)
        linear = np.where(
            color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted([luminance(text), luminance(behind)])
    return (light + 0.05) / (dark + 0.05)


def in_a_browser(source, folder):
    """The document after the browser has read a page, and run what runs in it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no chromium or chrome on the PATH")
    page = folder / "page.html"
    page.write_text(source, encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--no-first-run", "--disable-background-networking"]
    command += [f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "<title>" in done.stdout, done.stderr[-500:]
    return done.stdout


def test_nothing_runs_in_a_browser(attacked, tmp_path):
    # A browser that runs what it is given says so.
    harmed = in_a_browser(f"<title>before</title><p>{ATTACK}", tmp_path)
    assert "<title>attacked</title>" in harmed
    for said in attacked:
        source = said.to_html(given=ATTACKS[0])
        document = in_a_browser(source, tmp_path)
        assert "<title>Row " in document
        # The browser has read the elements and texts that were written, and no others.
        read, written = Page(document), Page(source)
        read.check_harmless()
        assert read.tags == written.tags
        assert read.text.split() == written.text.split()
        for attack in (ATTACK, *ATTACKS):
            assert attack in read.text or said is not attacked[0]
    frame = attacked[0]._repr_html_()
    document = in_a_browser(f"<title>notebook</title>{frame}", tmp_path)
    assert "<title>notebook</title>" in document
    assert "<script" not in re.sub(r'"[^"]*"', "", document)
