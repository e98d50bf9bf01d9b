"""A property that is found on first use, by one thread, and kept."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

_Value = TypeVar("_Value")


class found_once(Generic[_Value]):
    """A property that is found on first use, by one thread, and kept.

    `functools.cached_property` with one lock an instance, which also holds the
    value in the `__dict__` of a frozen dataclass. An error leaves it unfound.
    """

    def __init__(self, find: Callable[[Any], _Value]) -> None:
        self._find = find
        self.__doc__ = find.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, model: None, owner: type) -> "found_once[_Value]": ...
    @overload
    def __get__(self, model: object, owner: type) -> _Value: ...
    def __get__(self, model: Any, owner: type) -> Any:
        if model is None:
            return self
        found = vars(model)
        if self._name not in found:
            with model.lock:
                if self._name not in found:
                    found[self._name] = self._find(model)
        return found[self._name]
