"""Files of the project agree: metadata, workflows, Makefile, hooks, changelog."""

import re
import runpy
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
import yaml

import knngraph

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


def loaded(path):
    """A YAML file; of its keys, `on` would be a truth value."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def jobs():
    for path in WORKFLOWS:
        for name, job in loaded(path)["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


def runs(job):
    """Its commands, with every value of its matrix in place."""
    matrix = job.get("strategy", {}).get("matrix", {})
    for step in job.get("steps", []):
        if "run" in step:
            named = re.search(r"\$\{\{ matrix\.(\w+) \}\}", step["run"])
            for value in matrix[named[1]] if named else [""]:
                yield step["run"].replace(named[0] if named else "", value)


def pythons():
    """Of the classifiers, "3.11" and so on."""
    name = r"Programming Language :: Python :: (3\.\d+)"
    found = [re.fullmatch(name, line) for line in PROJECT["classifiers"]]
    return [match[1] for match in found if match]


@pytest.mark.parametrize("job", list(jobs()))
def test_workflows_run_targets_of_the_makefile(job):
    for command in runs(job):
        assert re.fullmatch(r"make [\w-]+( \w+=\w+)*", command)
        assert command.split()[1] in TARGETS


@pytest.mark.parametrize("job", list(jobs()))
def test_workflows_have_few_rights_and_an_end(job):
    # An upload needs one more; everything else reads.
    rights = job["permissions"]
    assert rights in ({"contents": "read"}, {"id-token": "write"})
    assert "uses" in job or int(job["timeout-minutes"]) <= 60
    for step in job.get("steps", []):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_give_no_right_to_all_jobs(path):
    workflow = loaded(path)
    assert workflow["permissions"] == {}
    assert "group" in workflow["concurrency"]


def test_only_a_tag_publishes_and_only_what_was_tested():
    publish = loaded(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["publish"]
    assert publish["if"] == "github.ref_type == 'tag'"
    assert publish["needs"] == ["tests", "dist"]
    assert publish["environment"]["name"] == "pypi"


def test_pythons_and_systems_agree():
    named = pythons()
    assert PROJECT["requires-python"] == f">={named[0]}"
    first = PYPROJECT["tool"]["ruff"]["target-version"]
    assert first == "py" + named[0].replace(".", "")
    assert PYPROJECT["tool"]["mypy"]["python_version"] == named[0]
    tests = loaded(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]
    assert tests["strategy"]["matrix"]["python"] == named
    systems = {
        "ubuntu-latest": "POSIX :: Linux",
        "macos-latest": "MacOS",
        "windows-latest": "Microsoft :: Windows",
    }
    assert tests["strategy"]["matrix"]["system"] == list(systems)
    for classifier in systems.values():
        assert f"Operating System :: {classifier}" in PROJECT["classifiers"]


def test_hooks_have_the_versions_of_the_package():
    checks = PROJECT["optional-dependencies"]["project"]
    pins = dict(line.split("==") for line in checks if "==" in line)
    for repo in loaded(ROOT / ".pre-commit-config.yaml")["repos"]:
        for hook in repo["hooks"]:
            package, pin = hook["additional_dependencies"][0].split("==")
            assert pin == pins.get(package, pin)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_the_source_archive_has_all_that_is_tracked():
    # `make dist` compares every file; here, what stands at the top.
    shown = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tops = {PurePosixPath(name).parts[0] for name in shown.stdout.splitlines()}
    tops -= {"knngraph", "pyproject.toml", "LICENSE", "MANIFEST.in"}  # by themselves
    lines = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if line.startswith(("include", "graft"))]
    taken = [pattern for _, *patterns in rules for pattern in patterns]
    assert [top for top in tops if not any(fnmatch(top, p) for p in taken)] == []


def test_every_target_is_phony_and_every_marked_one_exists():
    phony = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split())
    assert phony == TARGETS


def test_the_version_is_in_one_place_and_repeated_where_the_last_release_is_named():
    # The build reads it from the one file.
    assert PROJECT["dynamic"] == ["version"]
    source = PYPROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert source == "knngraph._version.__version__"
    ready = runpy.run_path(str(ROOT / ".ci" / "release_ready.py"))
    version, date = ready["newest"](ROOT)
    cited = ready["read"](ROOT / "CITATION.cff", "^version: (.+)$")
    assert cited == version
    if not knngraph.__version__.endswith(".dev0"):
        assert knngraph.__version__ == version
    if date != "unreleased":
        assert ready["read"](ROOT / "CITATION.cff", "^date-released: (.+)$") == date


CITED = "version: 1.2.3\ndate-released: 2030-01-02\n"


@pytest.fixture
def tree(tmp_path):
    """A tree that may be released as 1.2.3."""
    (tmp_path / "knngraph").mkdir()
    (tmp_path / "knngraph" / "_version.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2030-01-02)\n")
    (tmp_path / "CITATION.cff").write_text(
        "version: 1.2.3\ndate-released: 2030-01-02\n"
    )
    (tmp_path / "docs" / "changelog.d").mkdir(parents=True)
    (tmp_path / "tests" / "serving" / "releases" / "1.2.3").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("knngraph/_version.py", '__version__ = "1.2.3.dev0"\n', "no version of a"),
        ("CHANGELOG.md", "## 1.2.3 (unreleased)\n", "no date"),
        ("CHANGELOG.md", "## 1.2.2 (2030-01-02)\n", "begins with 1.2.2"),
        ("CITATION.cff", CITED.replace("2030", "2029"), "was released"),
        ("CITATION.cff", CITED.replace("1.2.3", "1.2.2"), "has version"),
        ("docs/changelog.d/+topic.added.md", "New.\n", "1 fragments"),
        ("tests/serving/releases/1.2.3", None, "No saved files"),
    ],
)
def test_what_a_release_lacks_is_said(tree, path, text, said):
    missing = runpy.run_path(str(ROOT / ".ci" / "release_ready.py"))["missing"]
    assert missing("v1.2.3", tree) == []
    assert "The tag is" in "".join(missing("v1.2.4", tree))
    if text is None:
        shutil.rmtree(tree / path)
    else:
        (tree / path).write_text(text)
    assert said in "".join(missing("v1.2.3", tree))
