"""A chosen pipeline as a program."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator

import knngraph
from knngraph.compare.comparison import Comparison, headline

_PROGRAM = """# {title}
# Written by knngraph compare {version}; {name} was {accuracy:.2f} % right there.

{imports}

kinds = {{
{kinds}
}}
model = Pipeline(
    [
        ("typedcolumns", TypedColumns(kinds)),
{steps}
    ]
)

if __name__ == "__main__":
    table = load_table(TableOptions({options}))
    folds = StratifiedKFold({n_folds}, shuffle=True, random_state={seed})
    scores = cross_val_score(model, table.raw, table.labels, cv=folds)
    print(f"{{100 * scores.mean():.2f}} % right")
    model.fit(table.raw, table.labels)
"""
_IMPORTS = {
    "from knngraph.tables.load import TableOptions, load_table",
    "from sklearn.model_selection import StratifiedKFold, cross_val_score",
}


def write_code(comparison: Comparison) -> str:
    """A program that cross-validates and fits the pipeline of the choice.

    Steps are the `repr` of what was measured, so that they cannot differ from it.
    """
    (_, typed), *steps = comparison.pipeline.steps
    options, chosen = comparison.options, comparison.chosen
    shown = "\n".join(
        f"        ({name!r}, {' '.join(step.__repr__(N_CHAR_MAX=10**6).split())}),"
        for name, step in steps
    )
    given = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != field.default
    }
    given["file"] = str(Path(options.file).resolve())
    parts = [typed, comparison.pipeline, *comparison.pipeline.get_params().values()]
    text = f"TypedColumns( Pipeline( {shown}"
    return _PROGRAM.format(
        title=" ".join(headline(comparison).split()),
        version=knngraph.__version__,
        name=comparison.chosen_name,
        accuracy=100 * chosen.mean_accuracy if chosen else 0,
        imports="\n".join(
            sorted(_IMPORTS | {_import(p) for p in parts if _is_made(p, text)})
        ),
        kinds="\n".join(
            f"    {name!r}: {kind!r}," for name, kind in typed.kinds.items()
        ),
        steps=shown,
        options=", ".join(f"{name}={value!r}" for name, value in given.items()),
        n_folds=comparison.folds.n_splits,
        seed=options.seed,
    )


def _is_made(part: Any, text: str) -> bool:
    made = rf"\b{type(part).__name__}\("
    return isinstance(part, BaseEstimator) and re.search(made, text) is not None


def _import(part: Any) -> str:
    name, module = type(part).__name__, type(part).__module__.partition("._")[0]
    return f"from {'knngraph' if name in knngraph.__all__ else module} import {name}"
