"""Made rows of any number, with the structure that real ones have."""

import numpy as np
from scipy import sparse

_ROWS_OF_MIXTURE, _ROWS_OF_SHEET = 65_536, 50_000
# Documents that are drawn at once, and on which the directions are learned.
_ROWS_OF_TEXT, _ROWS_OF_SVD = 10_000, 20_000


def mixture(
    n_rows: int,
    n_features: int = 32,
    *,
    intrinsic: int = 10,
    n_clusters: int = 200,
    n_classes: int = 10,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clusters on planes of few dimensions, some labels wrong.

    Parameters
    ----------
    n_rows, n_features : int
    intrinsic : int
        Dimension of the plane of every cluster; noise of 0.1 lies on all features.
    n_clusters, n_classes : int
        A class has several clusters; 5 % of the labels are drawn at random.
    seed : int, default=0

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float32
    y : ndarray of shape (n_rows,)
    """
    random = np.random.default_rng(seed)
    centers = 1.5 * random.normal(size=(n_clusters, n_features))
    planes = random.normal(size=(n_clusters, intrinsic, n_features))
    planes /= np.sqrt(intrinsic)
    cluster = random.integers(n_clusters, size=n_rows)
    X = np.empty((n_rows, n_features), dtype=np.float32)
    for start in range(0, n_rows, _ROWS_OF_MIXTURE):
        of_block = cluster[start : start + _ROWS_OF_MIXTURE]
        along = random.normal(size=(len(of_block), intrinsic))
        block = np.empty((len(of_block), n_features))
        # By cluster, so that no array of planes a row is needed.
        for c in np.unique(of_block):
            members = of_block == c
            block[members] = centers[c] + along[members] @ planes[c]
        block += 0.1 * random.normal(size=block.shape)
        X[start : start + _ROWS_OF_MIXTURE] = block
    y = cluster % n_classes
    wrong = random.random(n_rows) < 0.05
    return X, np.where(wrong, random.integers(n_classes, size=n_rows), y)


def curved_sheet(
    n_rows: int, n_features: int, n_classes: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Classes of five Gaussian clumps each, on a curved sheet of few dimensions.

    The clumps depend on the numbers of features and classes alone; `seed` picks
    the rows. The first rows of a long sample are those of a short one.

    Parameters
    ----------
    n_rows, n_features, n_classes : int
    seed : int

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float32
    y : ndarray of shape (n_rows,), intp

    Examples
    --------
    >>> from benchmarks.made_rows import curved_sheet
    >>> X, y = curved_sheet(1000, 16, 10, seed=0)
    >>> X.shape, len(set(y.tolist()))
    ((1000, 16), 10)
    """
    world = np.random.default_rng(20240229)
    n_inner = max(2, min(10, n_features // 2))
    n_clumps = 5 * n_classes
    centers = world.normal(scale=2.0, size=(n_clumps, n_inner))
    spread = world.uniform(0.5, 1.0, size=n_clumps)
    lift = world.normal(size=(n_inner, n_features)) / np.sqrt(n_inner)
    bend = world.normal(size=(n_inner, n_features)) / np.sqrt(n_inner)
    X = np.empty((n_rows, n_features), dtype=np.float32)
    y = np.empty(n_rows, dtype=np.intp)
    for block, start in enumerate(range(0, n_rows, _ROWS_OF_SHEET)):
        # Whole blocks are drawn and then cut: what comes first never changes.
        random = np.random.default_rng([seed, block])
        clump = random.integers(n_clumps, size=_ROWS_OF_SHEET)
        inner = random.normal(size=(_ROWS_OF_SHEET, n_inner))
        inner = centers[clump] + spread[clump, None] * inner
        rows = inner @ lift + np.sin(inner) @ bend
        rows += 0.1 * random.normal(size=rows.shape)
        stop = min(start + _ROWS_OF_SHEET, n_rows)
        X[start:stop], y[start:stop] = (part[: stop - start] for part in (rows, clump))
    return X, y % n_classes


def blobs(
    n_rows: int, n_features: int = 32, *, n_clusters: int = 20, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Round Gaussian clusters that fill all of their dimensions: hard to search.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float32
    y : ndarray of shape (n_rows,)
        The cluster.

    Examples
    --------
    >>> from benchmarks.made_rows import blobs
    >>> X, y = blobs(1000, 8)
    >>> X.dtype.name, X.shape, len(set(y.tolist()))
    ('float32', (1000, 8), 20)
    """
    random = np.random.default_rng(seed)
    centers = random.uniform(-10.0, 10.0, size=(n_clusters, n_features))
    cluster = random.integers(n_clusters, size=n_rows)
    X = random.standard_normal((n_rows, n_features), dtype=np.float32)
    X += centers.astype(np.float32)[cluster]
    return X, cluster


def heavy_tails(
    n_rows: int, n_features: int = 24, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of Student's t with two degrees of freedom: some rows lie far off.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float32
    y : ndarray of shape (n_rows,)
        The cluster.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.made_rows import heavy_tails
    >>> lengths = np.linalg.norm(heavy_tails(10_000)[0], axis=1)
    >>> bool(lengths.max() > 20 * np.median(lengths))
    True
    """
    random = np.random.default_rng(seed)
    centers = random.normal(scale=2.0, size=(20, n_features)).astype(np.float32)
    cluster = random.integers(len(centers), size=n_rows)
    X = random.standard_normal((n_rows, n_features), dtype=np.float32)
    # Rows of a multivariate t share the factor of all of their columns.
    X *= np.sqrt(2.0 / random.chisquare(2.0, size=(n_rows, 1))).astype(np.float32)
    X += centers[cluster]
    return X, cluster


def near_copies(
    n_rows: int, n_features: int = 32, *, share: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A mixture in which a share of the rows are others with a little noise.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.made_rows import near_copies
    >>> X, y = near_copies(1000, 8)
    >>> squared = ((X[:, None] - X) ** 2).sum(axis=2) + 9.0 * np.eye(1000)
    >>> float(np.mean(squared.min(axis=1) < 1e-3)) > 0.3
    True
    """
    random = np.random.default_rng(seed)
    X, y = mixture(n_rows, n_features, seed=seed)
    copied = random.random(n_rows) < share
    others = np.flatnonzero(~copied)
    source = random.choice(others, size=n_rows - len(others))
    noise = random.normal(scale=1e-3, size=(len(source), n_features))
    X[copied], y[copied] = X[source] + noise, y[source]
    return X, y


def uniform_noise(
    n_rows: int, n_features: int = 16, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that fill a cube; the label is the half of it along the first column.

    Examples
    --------
    >>> from benchmarks.made_rows import uniform_noise
    >>> X, y = uniform_noise(1000)
    >>> bool(X.min() >= 0.0), bool(X.max() < 1.0), sorted(set(y.tolist()))
    (True, True, [0, 1])
    """
    random = np.random.default_rng(seed)
    X = random.random((n_rows, n_features), dtype=np.float32)
    return X, (X[:, 0] > 0.5).astype(np.intp)


def in_sorted_order(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same rows by label, and by the first column within a label.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.made_rows import in_sorted_order, mixture
    >>> X, y = in_sorted_order(*mixture(1000, 8))
    >>> bool((np.diff(y) >= 0).all()), bool((np.diff(X[y == 0, 0]) >= 0).all())
    (True, True)
    """
    order = np.lexsort((X[:, 0], y))
    return X[order], y[order]


def text_like(
    n_rows: int,
    n_features: int = 100,
    *,
    n_topics: int = 40,
    n_words: int = 4000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Documents of a topic model, as text is usually searched.

    Words are drawn from topics, which a document has a few of (latent Dirichlet
    allocation; Blei, Ng and Jordan 2003). Their counts are weighed by tf-idf and
    brought to `n_features` by a truncated SVD; rows have unit length, so that the
    nearest by cosine are the nearest.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float32
    y : ndarray of shape (n_rows,)
        The topic that a document has most of.

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.made_rows import text_like
    >>> X, y = text_like(500, 20)
    >>> X.shape, bool(np.allclose((X**2).sum(axis=1), 1.0, atol=1e-5))
    ((500, 20), True)
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import normalize

    random = np.random.default_rng(seed)
    # Words are as frequent as in language: the r-th as 1 / r.
    common = 1.0 / np.arange(1, n_words + 1)
    topics = random.gamma(0.05 + 20.0 * common, size=(n_topics, n_words))
    ends = np.cumsum(topics / topics.sum(axis=1, keepdims=True), axis=1)
    blocks, labels = [], []
    for start in range(0, n_rows, _ROWS_OF_TEXT):
        n_here = min(_ROWS_OF_TEXT, n_rows - start)
        shares = random.dirichlet(np.full(n_topics, 0.1), size=n_here)
        lengths = 20 + random.poisson(60, size=n_here)
        blocks.append(_counts(random, shares, lengths, ends))
        labels.append(shares.argmax(axis=1))
    counts = sparse.vstack(blocks, format="csr")
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    reduce = TruncatedSVD(n_features, n_iter=3, random_state=0)
    reduce.fit(weighed[:_ROWS_OF_SVD])
    X = normalize(reduce.transform(weighed)).astype(np.float32)
    return X, np.concatenate(labels)


def _counts(
    random: np.random.Generator,
    shares: np.ndarray,
    lengths: np.ndarray,
    ends: np.ndarray,
) -> sparse.csr_array:
    """Counts of the words of documents, drawn topic by topic."""
    n_rows, n_topics = shares.shape
    drawn = random.multinomial(lengths, shares)
    documents, words = [], []
    for topic in range(n_topics):
        rows = np.repeat(np.arange(n_rows), drawn[:, topic])
        places = random.random(len(rows)) * ends[topic, -1]
        documents.append(rows)
        words.append(np.searchsorted(ends[topic], places, side="right"))
    row, word = np.concatenate(documents), np.concatenate(words)
    entries = np.ones(len(row)), (row, word)
    return sparse.csr_array(entries, shape=(n_rows, ends.shape[1]))
