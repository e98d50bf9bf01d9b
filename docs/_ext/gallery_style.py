"""How the pictures of the gallery are drawn."""

from typing import Any


def reset(gallery_conf: dict[str, Any], fname: str) -> None:
    """Before every script: small figures, with letters that a phone still shows."""
    import matplotlib

    matplotlib.rcParams.update({"figure.figsize": (5.6, 4.0), "font.size": 11.0})
