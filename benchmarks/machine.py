"""What a figure depends on besides the code: versions and the machine."""

import platform
from importlib import metadata
from pathlib import Path

import joblib

PACKAGES = ("knngraph", "numpy", "scipy", "scikit-learn", "hnswlib", "numba")

# Columns of a file that say under which conditions its rows were measured.
COLUMNS = ("python", *PACKAGES, "cpu", "cores", "system")


def conditions() -> dict[str, str]:
    """Versions and machine, by the names of the columns they are written to."""
    found = {"python": platform.python_version()}
    found |= {name: version_of(name) or "" for name in PACKAGES}
    return found | {
        "cpu": cpu_model(),
        "cores": str(joblib.cpu_count()),
        "system": platform.system(),
    }


def version_of(package: str) -> str | None:
    """Version of an installed package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cpu_model() -> str:
    """Name that the processor gives itself."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def described(found: dict[str, str]) -> str:
    """Conditions as one sentence of a report."""
    packages = ", ".join(f"{name} {found[name]}" for name in PACKAGES if found[name])
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['system']}; Python "
        f"{found['python']}, {packages}"
    )
