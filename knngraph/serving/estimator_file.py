"""Any estimator in a file whose bytes are verified before they are unpickled."""

import pickle
import platform
import sys
from typing import Any

import numpy as np

from knngraph._version import __version__
from knngraph.exceptions import SavedModelError
from knngraph.serving.container import ESTIMATOR, pack, read, write

FORMAT_VERSION = 1


def save(estimator: Any, path: Any) -> None:
    """Write an estimator to a file, with everything that it holds.

    A reader sees the old file or the new one, never a part, even where this process
    is killed meanwhile.

    Parameters
    ----------
    estimator : object
        Of this library, or one of scikit-learn that holds such, as a Pipeline.
    path : path-like

    See Also
    --------
    Predictor.save : A file without code, of what answers need.

    Examples
    --------
    >>> import os, tempfile
    >>> import knngraph
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = knngraph.KNNGraphClassifier(random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "iris.estimator")
    >>> knngraph.save(classifier, path)
    >>> knngraph.load(path).predict(X[[0, 70, 140]])
    array([0, 1, 2])
    """
    content = np.frombuffer(pickle.dumps(estimator, protocol=5), dtype=np.uint8)
    meaning = {"class": type(estimator).__qualname__, "with": _releases()}
    write(path, pack(ESTIMATOR, FORMAT_VERSION, meaning, {"pickle": content}))


def load(path: Any) -> Any:
    """Read an estimator from a file that `save` wrote.

    Every byte is verified before it is unpickled, which finds damage, not malice:
    as any pickle, the file can hold code that runs when it is loaded. Load files
    of people you trust; a file of `load_predictor` holds no code.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    object

    Raises
    ------
    SavedModelError
        Where the file is damaged, cut off, of a newer format or something else,
        or was saved with releases of other packages that pickle otherwise.
    """
    meaning, arrays = read(path, ESTIMATOR, FORMAT_VERSION, mapped=True)
    try:
        return pickle.loads(arrays["pickle"].data)
    except SavedModelError:
        raise
    except Exception as error:
        raise SavedModelError(
            f"{path!r} is undamaged, but cannot be unpickled here ({error!r}). It was "
            f"saved with {meaning['with']}; this is {_releases()}."
        ) from error


def _releases() -> dict[str, str]:
    names = ("numpy", "scipy", "sklearn", "hnswlib", "skrub", "pandas")
    loaded = {
        name: getattr(sys.modules.get(name), "__version__", None) for name in names
    }
    found = {name: version for name, version in loaded.items() if version}
    return {"python": platform.python_version(), "knngraph": __version__} | found
