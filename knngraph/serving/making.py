"""From a fitted classifier to its predictor."""

from dataclasses import replace
from typing import Any

import numpy as np

from knngraph.inference.query_model import PredictOptions, QueryModel
from knngraph.serving.description import Description
from knngraph.serving.predictor import Predictor
from knngraph.serving.predictor_state import PredictorState, row_names, without_rows


def predictor_of(
    classifier: Any,
    model: QueryModel,
    options: PredictOptions,
    label_ef: int,
    texts: dict[str, str],
) -> Predictor:
    """Take what answers read, and describe where it comes from.

    Parameters
    ----------
    classifier : KNNGraphClassifier
        Fitted.
    model : QueryModel
        What it answers from at present.
    options : PredictOptions
    label_ef : int
        Smallest `ef` with labels that agree with exact search often enough.
    texts : dict of str
        "about", "version" and "made" of the description.
    """
    learned = classifier._model
    training = learned.training
    described = Description(
        type(classifier).__name__,
        classifier.metric_,
        len(training.codes),
        np.bincount(training.codes, minlength=training.n_classes),
        learned.left_out_accuracy(options.inference),
    )
    state = PredictorState(
        without_rows(model),
        replace(options, n_threads=1),  # of the machine that answers
        classifier.classes_,
        classifier.n_features_in_,
        getattr(classifier, "feature_names_in_", None),
        label_ef,
        described.with_texts(**texts),
        row_names(training, classifier.ids_),
    )
    return Predictor(state)
