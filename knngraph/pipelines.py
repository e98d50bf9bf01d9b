"""A predictor of a whole pipeline: its steps become operations before the map."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from knngraph.inspection.sources import column_positions
from knngraph.prepared.steps import Preparation, Step
from knngraph.serving.predictor import Predictor


def to_predictor(
    model: Any, *, about: str = "", version: str = "", made: str = ""
) -> Predictor:
    """Make a predictor of a fitted classifier, or of a pipeline that ends in one.

    Parameters
    ----------
    model : Pipeline, search over pipelines, or classifier
        The steps before the classifier may be StandardScaler, MinMaxScaler,
        MaxAbsScaler, RobustScaler, SimpleImputer for NaN, PCA, pipelines of these,
        ColumnTransformer of all of them but PCA, and "passthrough".
    about, version, made : str, default=""
        For the description that it carries: what it is for, which one it is, and
        when it was made. No clock is read.

    Returns
    -------
    Predictor
        Takes the rows that the pipeline takes, and calls no scikit-learn. It carries
        out the operations of the steps in their order and precision: answers are
        those of the pipeline to the bit. Behind PCA they are within rounding, as sums
        have another order. Columns of a DataFrame have to be in the order of fit.

    See Also
    --------
    KNNGraphClassifier.to_predictor : The same for a classifier.
    save : Keeps a pipeline with any steps, in a file that holds code.

    Examples
    --------
    >>> import numpy as np
    >>> import knngraph
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = knngraph.KNNGraphClassifier(random_state=0)
    >>> pipeline = make_pipeline(SimpleImputer(), StandardScaler(), classifier)
    >>> predictor = knngraph.to_predictor(pipeline.fit(X, y))
    >>> predictor.predict([[5.1, np.nan, 1.4, 0.2]])
    array([0])
    """
    model = getattr(model, "best_estimator_", model)
    steps, classifier = _split(model)
    if not hasattr(classifier, "to_predictor"):
        raise TypeError(
            f"A predictor is made of a KNNGraphClassifier or of a pipeline that ends "
            f"in one, and this one ends in {type(classifier).__name__}. Fit the "
            "pipeline with a KNNGraphClassifier as its last step."
        )
    made_of = classifier.to_predictor(about=about, version=version, made=made)
    state = made_of._state
    seen = [step for _, step in steps if hasattr(step, "n_features_in_")]
    first = seen[0] if seen else classifier
    folding = _Folding(first.n_features_in_)
    names = getattr(first, "feature_names_in_", None)
    for path, step in steps:
        folding.fold(path, step, names)
        names = None if step is first else names
    folding.select()
    space = state.model.space
    if space.prepared is not None:
        folding.steps += space.prepared.steps
    if folding.steps:
        space = replace(space, prepared=Preparation(tuple(folding.steps)))
    described = state.description
    if described is not None:
        kinds = [type(step).__name__ for _, step in steps]
        described = replace(described, model=", ".join([*kinds, described.model]))
    return Predictor(
        replace(
            state,
            model=replace(state.model, space=space),
            n_features=int(first.n_features_in_),
            names=getattr(first, "feature_names_in_", None),
            description=described,
        )
    )


def _split(model: Any, path: str = "") -> tuple[list[tuple[str, Any]], Any]:
    """Steps before the classifier, without pipelines around them, and that."""
    if not isinstance(model, Pipeline):
        return [], model
    *steps, (name, last) = model.steps
    inner, classifier = _split(last, f"{path}{name}.")
    return _flat(steps, path) + inner, classifier


def _flat(steps: list[tuple[str, Any]], path: str) -> list[tuple[str, Any]]:
    found = []
    for name, step in steps:
        if isinstance(step, Pipeline):
            found += _flat(step.steps, f"{path}{name}.")
        elif not _passes_on(step):
            found.append((path + name, step))
    return found


def _passes_on(step: Any) -> bool:
    """Whether rows pass a step as they are, as they do samplers when one predicts."""
    if type(step) is FunctionTransformer:  # what "passthrough" becomes
        return step.func is None
    return step is None or isinstance(step, str) or hasattr(step, "fit_resample")


class _Folding:
    """Operations that are found so far.

    They work on wide rows, of which `at` are the columns that the next step gets.
    """

    def __init__(self, n_columns: int) -> None:
        self.steps: list[Step] = []
        self.n_wide = n_columns
        self.at = np.arange(n_columns)

    def fold(self, path: str, step: Any, names: Any) -> None:
        """Append the operations of a fitted step; `names` are those of its columns."""
        # Those that derive from one of these may do something else.
        known = _FOLDS.get(type(step))
        if type(step) is ColumnTransformer:
            self._side_by_side(path, step, names)
        elif known is None:
            *others, last = sorted(kind.__name__ for kind in _FOLDS)
            raise TypeError(
                f"Step {path!r} of the pipeline is {type(step).__name__}, which a "
                f"predictor cannot carry out. It can {', '.join(others)} and {last}, "
                "and ColumnTransformer of these. Make the predictor of the steps "
                f"behind {path!r} (a Pipeline of them) and give it rows that are "
                "transformed, or keep the whole pipeline with knngraph.save."
            )
        else:
            check_is_fitted(step)
            known(self, path, step)

    def select(self) -> None:
        """Bring the columns of the next step into place, and drop all others."""
        if not np.array_equal(self.at, np.arange(self.n_wide)):
            self.steps.append(Step("select", self.at))
        self.n_wide = len(self.at)
        self.at = np.arange(self.n_wide)

    def append(
        self, kind: str, values: Any, neutral: float, *, in_type_of_rows: bool = False
    ) -> None:
        """Append an operation on the present columns; others get neutral values."""
        values = np.asarray(values)
        wide = np.full(self.n_wide, neutral, dtype=values.dtype)
        wide[self.at] = values
        self.steps.append(Step(kind, wide, in_type_of_rows))

    def flag(self, columns: np.ndarray) -> np.ndarray:
        """Append columns that say where others are missing; returns their places."""
        self.steps.append(Step("flag", self.at[columns]))
        places = self.n_wide + np.arange(len(columns))
        self.n_wide += len(columns)
        return places

    def _side_by_side(self, path: str, step: Any, names: Any) -> None:
        check_is_fitted(step)
        names = tuple(range(len(self.at))) if names is None else tuple(names)
        parts = [
            (f"{path}.{name}", part, column_positions(spec, names))
            for name, part, spec in step.transformers_
            if not (isinstance(part, str) and part == "drop")
        ]
        # A column of several parts is there once for each.
        self.at = self.at[np.concatenate([columns for _, _, columns in parts])]
        self.select()
        ends = np.cumsum([len(columns) for _, _, columns in parts])
        results = []
        for (part_path, part, columns), end in zip(parts, ends):
            self.at = np.arange(end - len(columns), end)
            inside = [("", part)] if not isinstance(part, Pipeline) else part.steps
            for name, inner in _flat(inside, ""):
                if type(inner) in (ColumnTransformer, PCA):
                    raise TypeError(
                        f"Part {part_path!r} of the pipeline has a "
                        f"{type(inner).__name__} within a ColumnTransformer, which a "
                        "predictor cannot carry out. Put it behind the "
                        "ColumnTransformer, or keep the pipeline with knngraph.save."
                    )
                self.fold(f"{part_path}.{name}".rstrip("."), inner, None)
            results.append(self.at)
        self.at = np.concatenate(results)


def _fold_standard(folding: _Folding, path: str, step: Any) -> None:
    if step.with_mean:
        folding.append("subtract", step.mean_, 0.0, in_type_of_rows=_ROUNDS_FIRST)
    if step.with_std:
        folding.append("divide", step.scale_, 1.0, in_type_of_rows=_ROUNDS_FIRST)


def _fold_robust(folding: _Folding, path: str, step: Any) -> None:
    if step.with_centering:
        folding.append("subtract", step.center_, 0.0)
    if step.with_scaling:
        folding.append("divide", step.scale_, 1.0)


def _fold_min_max(folding: _Folding, path: str, step: Any) -> None:
    folding.append("multiply", step.scale_, 1.0)
    folding.append("add", step.min_, 0.0)
    if step.clip:
        _limit(folding, *step.feature_range)


def _fold_max_abs(folding: _Folding, path: str, step: Any) -> None:
    folding.append("divide", step.scale_, 1.0)
    if getattr(step, "clip", False):
        _limit(folding, -1.0, 1.0)


def _limit(folding: _Folding, low: float, high: float) -> None:
    n = len(folding.at)
    for kind, limit, neutral in (("maximum", low, -np.inf), ("minimum", high, np.inf)):
        folding.append(
            kind, np.full(n, limit, dtype=np.float64), neutral, in_type_of_rows=True
        )


def _fold_imputer(folding: _Folding, path: str, step: Any) -> None:
    given = step.missing_values
    if not (isinstance(given, float) and np.isnan(given)):
        raise TypeError(
            f"Step {path!r} of the pipeline fills in missing_values={given!r}, and a "
            "predictor only NaN. Use NaN for missing values, or keep the pipeline "
            "with knngraph.save."
        )
    given = np.asarray(step.statistics_)
    try:
        filled = given.astype(getattr(step, "_fill_dtype", np.float64))
        filled = filled.astype(np.float64, casting="safe", copy=False)
    except (TypeError, ValueError):
        raise TypeError(
            f"Step {path!r} of the pipeline fills in {given[0]!r}, and a predictor "
            "only numbers. Encode the columns before, or keep the pipeline with "
            "knngraph.save."
        ) from None
    flags = np.empty(0, dtype=np.intp)
    if step.add_indicator:
        flags = folding.flag(step.indicator_.features_)
    there = ~np.isnan(filled)
    folding.at = folding.at[there]
    folding.append("fill", filled[there], np.nan)
    folding.at = np.concatenate([folding.at, flags])


def _fold_pca(folding: _Folding, path: str, step: Any) -> None:
    folding.select()
    matrix = np.ascontiguousarray(step.components_.T, dtype=np.float64)
    folding.steps.append(Step("project", matrix))
    folding.n_wide = matrix.shape[1]
    folding.at = np.arange(folding.n_wide)
    folding.append("subtract", step.mean_ @ matrix, 0.0)
    if step.whiten:
        # As PCA.transform does, so that tiny variances stay finite.
        scale = np.sqrt(step.explained_variance_)
        folding.append("divide", np.maximum(scale, np.finfo(scale.dtype).eps), 1.0)


def _rounds_first() -> bool:
    """Whether this release rounds means to float32 before it subtracts from float32."""
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = np.array([1.0 + 2.0**-25]), np.array([1.0])
    scaler.var_, scaler.n_features_in_, scaler.n_samples_seen_ = scaler.scale_, 1, 1
    return bool(scaler.transform(np.ones((1, 1), dtype=np.float32))[0, 0] == 0.0)


_ROUNDS_FIRST = _rounds_first()
_FOLDS: dict[type, Callable[[_Folding, str, Any], None]] = {
    MaxAbsScaler: _fold_max_abs,
    MinMaxScaler: _fold_min_max,
    PCA: _fold_pca,
    RobustScaler: _fold_robust,
    SimpleImputer: _fold_imputer,
    StandardScaler: _fold_standard,
}
