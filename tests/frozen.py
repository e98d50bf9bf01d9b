"""Stages hand on dataclasses that none of them can change."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

import knngraph

PACKAGE = Path(knngraph.__file__).parent


def dataclasses_of(folder: str) -> Iterator[type]:
    """The dataclasses that the files of a folder of the package define."""
    for path in sorted((PACKAGE / folder).glob("[!_]*.py")):
        name = f"knngraph.{folder}.{path.stem}"
        for value in vars(import_module(name)).values():
            is_class = isinstance(value, type) and value.__module__ == name
            if is_class and is_dataclass(value):
                yield value


def assert_frozen(folder: str) -> None:
    """No field of a dataclass of a folder can be set."""
    found = list(dataclasses_of(folder))
    assert found
    for cls in found:
        # Whatever is in it: one without any content does as well.
        one = object.__new__(cls)
        for field in fields(cls):
            with pytest.raises(FrozenInstanceError):
                setattr(one, field.name, None)
