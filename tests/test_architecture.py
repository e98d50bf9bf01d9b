"""The rules of imports and sizes, read off the source without running it."""

import ast
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

import knngraph
from knngraph.compiling.cache import KernelCache
from knngraph.graph import _violators

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


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def runs_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if is_for_types(node):
            waiting.extend(node.orelse)
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def without_types(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    yield node
    for child in node.orelse if is_for_types(node) else ast.iter_child_nodes(node):
        yield from without_types(child)


def files_imported(*, for_types: bool) -> dict[str, set[str]]:
    """Files of the package that every file imports, also within functions."""
    graph = {}
    for module, tree in TREES.items():
        nodes = ast.walk(tree) if for_types else without_types(tree)
        # `from a.b import c` imports the file a.b.c, or a name of the file a.b.
        files = {n if n in TREES else n.rpartition(".")[0] for n in imports(nodes)}
        graph[module] = (files & set(TREES)) - {module}
    return graph


def part_of(module: str) -> str:
    """A folder of the package, or a file beside the folders."""
    return ".".join(module.split(".")[:2])


def circle_in(graph: Mapping[str, Set[str]]) -> list[str]:
    """Nodes of which each imports the next and the last the first; else empty."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def longest_chain(graph: Mapping[str, Set[str]], files: Set[str]) -> list[str]:
    """The chain of imports with most of the files, each imported by the one before.

    The chain may pass through other files: leaving a folder and coming back to it
    saves no floor.
    """
    chains: dict[str, list[str]] = {}
    for node in TopologicalSorter(graph).static_order():
        below = max(
            (chains[other] for other in sorted(graph[node])), key=len, default=[]
        )
        chains[node] = [node, *below] if node in files else below
    return max(chains.values(), key=len)


FILES = files_imported(for_types=False)
FOLDERS = sorted({path.parent for path in PACKAGE.rglob("*.py")})
MOST_FLOORS = 9


@pytest.mark.parametrize("for_types", [False, True], ids=["runtime", "types"])
def test_no_files_import_each_other_in_a_circle(for_types):
    circle = circle_in(files_imported(for_types=for_types))
    assert not circle, " -> ".join(circle)


def test_no_parts_import_each_other_in_a_circle():
    # So there is an order of the parts from bottom to top, and no import goes up.
    parts: dict[str, set[str]] = {part_of(module): set() for module in FILES}
    example = {}
    for module, imported in FILES.items():
        for other in imported:
            arrow = part_of(module), part_of(other)
            if arrow[0] != arrow[1]:
                parts[arrow[0]].add(arrow[1])
                example[arrow] = f"{module} imports {other}"
    assert len(parts) > 15
    circle = circle_in(parts)
    arrows = [example[arrow] for arrow in pairwise(circle)]
    assert not circle, "; ".join(arrows)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_has_few_floors(folder):
    files = {module_name(path) for path in folder.glob("*.py")}
    chain = longest_chain(FILES, files)
    assert len(chain) <= MOST_FLOORS, f"{len(chain)} floors: {' -> '.join(chain)}"


def test_circles_and_floors_of_a_graph_by_hand():
    graph = {"a": {"b", "x"}, "b": {"c"}, "x": {"y"}, "y": {"c"}, "c": set()}
    assert circle_in(graph) == []
    assert longest_chain(graph, {"a", "b", "c"}) == ["a", "b", "c"]
    assert longest_chain(graph, {"a", "y", "c"}) == ["a", "y", "c"]
    assert circle_in(graph | {"c": {"x"}}) in (
        ["x", "y", "c", "x"],
        ["y", "c", "x", "y"],
        ["c", "x", "y", "c"],
    )
    # The package is read as it is: the command imports its parts within functions.
    assert "knngraph.compare.command" in FILES["knngraph.cli"]
    assert "knngraph.baselines" not in FILES["knngraph"]
    assert "knngraph.baselines" in files_imported(for_types=True)["knngraph"]


@pytest.mark.parametrize(
    ("those", "never_import"),
    [
        (("knngraph.graph",), ("knngraph.inference", *ESTIMATORS)),
        (("knngraph.index",), ("knngraph.inference", "knngraph.graph", *ESTIMATORS)),
        (("knngraph.inference",), ("knngraph.model", *ESTIMATORS)),
        (("knngraph.model",), ("knngraph.updating", "knngraph.serving", *ESTIMATORS)),
        (("knngraph.metric",), ("knngraph.model", *ESTIMATORS)),
        (("knngraph.condensing",), ESTIMATORS),
        (("knngraph.inspection",), ESTIMATORS),
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


@pytest.mark.parametrize("part", ["knngraph.baselines", "knngraph.inspection"])
def test_parts_that_know_no_graph_classifier_by_name(part):
    taken = {name.split(".")[-1] for _, name in imported_by((part,))}
    assert taken
    assert not {"KNNGraphClassifier", "KNNGraphClassifierCV"} & taken


@pytest.mark.parametrize(
    ("part", "packages"),
    [("knngraph.distributed", ("dask", "distributed")), ("knngraph.torch", ("torch",))],
)
def test_only_its_own_part_imports_a_package(part, packages):
    found = imported_by(("knngraph",))
    users = {m for m, name in found if belongs_to(name, packages)}
    assert users
    assert all(belongs_to(user, (part,)) for user in users)
    # And no other part imports that one.
    visitors = {m for m, name in found if belongs_to(name, (part,))}
    assert all(belongs_to(visitor, (part,)) for visitor in visitors)


def test_layers_run_where_only_numpy_and_torch_are_installed():
    reached, waiting = set(), [m for m in FILES if belongs_to(m, ("knngraph.torch",))]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(FILES[module])
    assert len(reached) > 1
    taken = {name for module in reached for name in imports(ast.walk(TREES[module]))}
    heavy = ("sklearn", "scipy", "numba", "hnswlib", "joblib", "threadpoolctl")
    assert not [name for name in taken if belongs_to(name, heavy)]


def test_one_file_imports_hnswlib():
    found = imported_by(("knngraph",))
    users = {m for m, name in found if belongs_to(name, ("hnswlib",))}
    assert users == {"knngraph.index.hnswlib_graph"}


def test_only_commands_read_tables():
    users = {
        module
        for module, name in imported_by(("knngraph",))
        if belongs_to(name, ("knngraph.tables", "knngraph.compare"))
    }
    assert "knngraph.cli" in users
    parts = ("knngraph.cli", "knngraph.tables", "knngraph.compare", "knngraph.commands")
    assert all(belongs_to(user, parts) for user in users)


@pytest.mark.parametrize(
    "heavy", ["hnswlib", "matplotlib", "tqdm", "pandas", "pyarrow", "skrub"]
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
        own = {"fastmath", "allocates"} | ({"inline"} if name == "compiled" else set())
        assert set(option) <= own
    kernel = _violators.count_or_list_violators
    assert kernel.targetoptions["nogil"] is True
    assert isinstance(kernel._cache, KernelCache)
    # numba's threads die after fork and abort under two threads.
    assert "parallel" not in kernel.targetoptions


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
