"""Pickles of fitted estimators that are verified before they are opened.

A pickle is a program: a bit that flips in it can become another program, or another
number in an array that nothing looks at again. A fitted estimator is pickled as one
string of bytes with a checksum, and the bytes are only opened when they are right.
"""

import copy
import hashlib
import pickle
from typing import Any, Self

from knngraph.exceptions import SavedModelError

# 2: attributes follow from the model, and arrays are compact. 3: rows may have ids, and
# distances of neighbors follow from the rows.
STATE_FORMAT = 3


class CheckedPickle:
    """Mixin of an estimator; comes before scikit-learn's base class."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not hasattr(self, "n_features_in_"):
            # Parameters only: small, hashed by joblib, and read by a person.
            return super().__reduce_ex__(protocol)
        state = self.__getstate__()
        payload = pickle.dumps(state, protocol=max(4, int(protocol)))
        cls = type(self)
        return restore, (cls, STATE_FORMAT, _digest(cls, payload), payload)

    def __copy__(self) -> Self:
        return self._twin(self.__getstate__())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._twin(copy.deepcopy(self.__getstate__(), memo))

    def _twin(self, state: Any) -> Self:
        # Past the bytes of a pickle: nothing can be damaged on the way.
        twin = self.__class__.__new__(self.__class__)
        twin.__setstate__(state)  # type: ignore[attr-defined]
        return twin


def restore(cls: Any, version: int, digest: bytes, payload: bytes) -> Any:
    """Make the estimator of a pickle; SavedModelError where it is not as written.

    Parameters
    ----------
    version : int
        Of the format.
    digest, payload : bytes
        What is in the estimator, and its checksum.
    """
    if version != STATE_FORMAT:
        raise SavedModelError(
            f"This estimator was saved in format {version}; this release of knngraph "
            f"reads format {STATE_FORMAT}. Load it with the release that saved it, or "
            "fit again."
        )
    if _digest(cls, payload) != digest:
        raise SavedModelError(
            f"The saved {cls.__name__} is damaged. Copy the file again from where it "
            "was made, or fit again."
        )
    estimator = cls.__new__(cls)
    estimator.__setstate__(pickle.loads(payload))
    return estimator


def _digest(cls: type, payload: bytes) -> bytes:
    name = f"{cls.__module__}.{cls.__qualname__} {STATE_FORMAT} "
    digest = hashlib.sha256(name.encode())
    digest.update(payload)
    return digest.digest()
