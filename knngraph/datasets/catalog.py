"""The six sets on which the method was published, and how their files are named."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

# The deposit of the publication: doi.org/10.5281/zenodo.19531320.
RECORD_URL = "https://zenodo.org/api/records/19531320"


@dataclass(frozen=True)
class PublishedSet:
    """What the publication says of one set.

    Parameters
    ----------
    name : str
    content : str
    n_features, n_classes : int or None
        None where the publication does not say.
    is_text : bool
        Whether the columns count words.
    """

    name: str
    content: str
    n_features: int | None = None
    n_classes: int | None = None
    is_text: bool = False

    def is_named_by(self, file_name: str) -> bool:
        """Whether a file is this set by its name.

        `binalpha.npz`, `Palm.mat`, `20news_uni.mat` and `mpeg7.mat` are; a name
        with any other addition is taken for a derived set and is not.
        """
        path = PurePath(file_name)
        stem = rf"\d*{self.name}(\d+k?)?(_uni|_x)?"
        return path.suffix.lower() in (".npz", ".mat") and bool(
            re.fullmatch(stem, path.stem.lower())
        )

    def best_of(self, file_names: Iterable[str]) -> str | None:
        """The file of this set: the plain name first, `.npz` before `.mat`."""
        own = [name for name in file_names if self.is_named_by(name)]
        return min(own, key=self._distance_from_plain, default=None)

    def _distance_from_plain(self, file_name: str) -> tuple[int, bool, str]:
        path = PurePath(file_name)
        return (
            len(path.stem) - len(self.name),
            path.suffix.lower() != ".npz",
            file_name,
        )


CATALOG = {
    described.name: described
    for described in (
        PublishedSet("binalpha", "binary images of characters", n_features=320),
        PublishedSet("caltech", "objects of the Caltech 101 categories"),
        PublishedSet("corel", "color, texture and layout of photos", n_features=423),
        PublishedSet("mpeg", "MPEG-7 shapes", n_classes=70),
        PublishedSet("news", "words of newsgroups", n_features=8014, is_text=True),
        PublishedSet("palm", "palm prints", n_classes=100),
    )
}
