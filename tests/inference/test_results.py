"""Results of the stages are frozen: no later stage changes an earlier result."""

import importlib
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest

import knngraph.inference

STAGES = sorted(Path(knngraph.inference.__file__).parent.glob("[a-z]*.py"))


def dataclasses_of(stage):
    module = importlib.import_module(f"knngraph.inference.{stage.stem}")
    own = [value for value in vars(module).values() if isinstance(value, type)]
    return [
        cls for cls in own if is_dataclass(cls) and cls.__module__ == module.__name__
    ]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.stem)
def test_no_stage_writes_to_a_result(stage):
    for cls in dataclasses_of(stage):
        result = object.__new__(cls)
        with pytest.raises(FrozenInstanceError):
            setattr(result, fields(cls)[0].name, None)


def test_there_are_results():
    assert sum(len(dataclasses_of(stage)) for stage in STAGES) >= 8
