"""The rules of the house, read off the source without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import knngraph
from knngraph import compiling

PACKAGE = Path(knngraph.__file__).parent
ESTIMATORS = (
    "knngraph.classifier",
    "knngraph.selection",
    "knngraph.transformer",
    "knngraph.baselines",
)


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def belongs_to(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == p or module.startswith(p + ".") for p in packages)


def imports(nodes: Iterator[ast.AST]) -> set[str]:
    """Modules that are imported, and the names taken from them."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def imported_by(packages: tuple[str, ...]) -> list[tuple[str, str]]:
    """All imports, wherever in the file, of the modules of some packages."""
    return [
        (module, name)
        for module, tree in TREES.items()
        if belongs_to(module, packages)
        for name in imports(ast.walk(tree))
    ]


def runs_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize(
    ("those", "never_import"),
    [
        (("knngraph.graph",), ("knngraph.inference", *ESTIMATORS)),
        (("knngraph.index",), ("knngraph.inference", "knngraph.graph", *ESTIMATORS)),
        (("knngraph.inference",), ESTIMATORS),
        (("knngraph.metric",), ESTIMATORS),
        (("knngraph.condensing",), ESTIMATORS),
        # Serving works where scikit-learn is not installed.
        (("knngraph.serving",), (*ESTIMATORS, "sklearn", "scipy.optimize")),
        (
            (
                "knngraph.distances",
                "knngraph.space",
                "knngraph.parallel",
                "knngraph.progress",
            ),
            ("knngraph.inference", "knngraph.graph", "knngraph.index", *ESTIMATORS),
        ),
        (
            ("knngraph.baselines",),
            ("knngraph.classifier", "knngraph.selection", "knngraph.transformer"),
        ),
        (("knngraph",), ("tests", "benchmarks")),
    ],
    ids=lambda packages: packages[0],
)
def test_imports_point_one_way(those, never_import):
    found = imported_by(those)
    assert found
    assert not [pair for pair in found if belongs_to(pair[1], never_import)]


def test_baselines_take_the_graph_classifier_from_nowhere():
    taken = {name.split(".")[-1] for _, name in imported_by(("knngraph.baselines",))}
    assert taken
    assert not {"KNNGraphClassifier", "KNNGraphClassifierCV"} & taken


def test_dask_is_asked_for_in_its_own_room_only():
    found = imported_by(("knngraph",))
    users = {m for m, name in found if belongs_to(name, ("dask", "distributed"))}
    assert users
    assert all(belongs_to(user, ("knngraph.distributed",)) for user in users)
    # And the room is entered by its own door only.
    visitors = {m for m, name in found if belongs_to(name, ("knngraph.distributed",))}
    assert all(belongs_to(visitor, ("knngraph.distributed",)) for visitor in visitors)


def test_one_file_imports_hnswlib():
    users = {m for m, name in imported_by(("knngraph",)) if "hnswlib" in name}
    assert users == {"knngraph.index.hnsw"}


def test_only_the_command_compares_tables():
    users = {
        module
        for module, name in imported_by(("knngraph",))
        if belongs_to(name, ("knngraph.compare",))
    }
    assert "knngraph.cli" in users
    assert all(
        m == "knngraph.cli" or belongs_to(m, ("knngraph.compare",)) for m in users
    )


@pytest.mark.parametrize(
    "heavy", ["hnswlib", "matplotlib", "tqdm", "pandas", "pyarrow"]
)
def test_heavy_packages_load_on_first_use(heavy):
    at_import = {
        module
        for module, tree in TREES.items()
        if any(belongs_to(name, (heavy,)) for name in imports(runs_at_import(tree)))
    }
    assert not at_import
    # Or the package is not used at all and the test cannot fail.
    assert any(belongs_to(name, (heavy,)) for _, name in imported_by(("knngraph",)))


def is_jitted(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        "compiled" in ast.dump(decorator) or "jit" in ast.dump(decorator)
        for decorator in node.decorator_list
    )


JITTED = {
    module: {node.name: node for node in tree.body if is_jitted(node)}
    for module, tree in TREES.items()
}


def test_jitted_functions_call_none_of_another_file():
    # The cache on disk only watches the file of the function itself.
    compiled = {module: names for module, names in JITTED.items() if names}
    assert len(compiled) >= 2
    elsewhere = {
        f"{module}.{name}" for module, names in compiled.items() for name in names
    }
    for module, functions in compiled.items():
        foreign = {}
        for node in ast.walk(TREES[module]):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    foreign[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for function in functions.values():
            used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
            taken = {foreign[name] for name in used if name in foreign}
            assert not taken & elsewhere
            # Nor through a module that holds compiled functions.
            assert not taken & set(compiled)


def decorations(function: ast.FunctionDef) -> Iterator[tuple[str, dict[str, ast.AST]]]:
    """Names of the decorators of a function, and their options."""
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
        yield ast.unparse(called), {option.arg: option.value for option in keywords}


def test_numba_runs_no_threads_of_its_own_and_caches():
    found = [
        decoration
        for functions in JITTED.values()
        for function in functions.values()
        for decoration in decorations(function)
    ]
    kinds = {name for name, _ in found}
    assert kinds == {"compiled", "compiled_part"}
    for name, option in found:
        # The rest is the same for all.
        own = {"fastmath", "inline"} if name == "compiled" else {"fastmath"}
        assert set(option) <= own
    shared = compiling.compiled.keywords
    assert shared["nogil"] is True
    assert shared["cache"] is True
    # numba's threads die after fork and abort under two threads.
    assert "parallel" not in shared


def test_parts_of_compiled_functions_run_uncompiled_in_no_other_module():
    # Python calls a part without an error, a hundred times slower.
    parts = {
        f"{module}.{name}"
        for module, functions in JITTED.items()
        for name, function in functions.items()
        if any(kind == "compiled_part" for kind, _ in decorations(function))
    }
    assert parts
    for tree in TREES.values():
        assert not imports(ast.walk(tree)) & parts
    # Modules of compiled functions are imported whole; these are called of them.
    called = {
        f"{node.value.id}.{node.attr}"
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert "_fista.solve_rows" in called
    assert not {".".join(part.split(".")[-2:]) for part in parts} & called


def test_every_public_name_exists():
    for name in knngraph.__all__:
        assert getattr(knngraph, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = knngraph.nothing
