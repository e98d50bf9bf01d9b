"""Which mutants there are: small changes of the source that a test should notice.

The operators are those of Cosmic Ray (https://cosmic-ray.readthedocs.io). Of the eleven
replacements of a binary operator and the seven of a comparison those are taken that
look alike: a sum that becomes a shift is noticed by any test that runs it.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = (
    "graph",
    "inference",
    "index",
    "serving",
    "updating",
    "condensing",
    "metric",
)
_BINARY = {
    "Add": ["Sub"],
    "Sub": ["Add"],
    "Mul": ["Div", "Add"],
    "Div": ["Mul"],
    "FloorDiv": ["Mul"],
    "Mod": ["FloorDiv"],
    "Pow": ["Mul"],
    "RShift": ["LShift"],
    "LShift": ["RShift"],
    "BitOr": ["BitAnd"],
    "BitAnd": ["BitOr"],
    "BitXor": ["BitAnd"],
}
_COMPARED = {
    "Eq": ["NotEq"],
    "NotEq": ["Eq"],
    "Lt": ["LtE", "GtE"],
    "LtE": ["Lt", "Gt"],
    "Gt": ["GtE", "LtE"],
    "GtE": ["Gt", "Lt"],
    "Is": ["IsNot"],
    "IsNot": ["Is"],
}
OPERATORS = (
    *(f"ReplaceBinaryOperator_{a}_{b}" for a, all_b in _BINARY.items() for b in all_b),
    *(
        f"ReplaceComparisonOperator_{a}_{b}"
        for a, all_b in _COMPARED.items()
        for b in all_b
    ),
    "ReplaceUnaryOperator_Delete_USub",
    "ReplaceUnaryOperator_Delete_Invert",
    "ReplaceUnaryOperator_Delete_Not",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ZeroIterationForLoop",
)


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes
    ----------
    file : str
        From the root of the project.
    operator : str
        Of Cosmic Ray.
    occurrence : int
        Which of the places where the operator fits.
    line : int
        First line of the place, from 1.
    """

    file: str
    operator: str
    occurrence: int
    line: int

    @property
    def folder(self) -> str:
        """The folder of the package."""
        return Path(self.file).parts[1]

    def source(self) -> str:
        """The file after the change."""
        from cosmic_ray.mutating import mutate_code

        operator = _operators()[self.operator]()
        return mutate_code(_text(self.file), operator, self.occurrence)

    def change(self) -> tuple[str, str]:
        """The lines that differ, before and after, without their indentation."""
        before, after = _text(self.file).splitlines(), self.source().splitlines()
        while before and after and before[0] == after[0]:
            del before[0], after[0]
        while before and after and before[-1] == after[-1]:
            del before[-1], after[-1]
        return _joined(before), _joined(after)

    def key(self) -> str:
        """The same for the same change of the same text, wherever it stands."""
        text = "\n".join([self.file, self.operator, self.source()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _joined(lines: list[str]) -> str:
    return "\n".join(line.strip() for line in lines)


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def _operators() -> dict[str, type]:
    from cosmic_ray.operators import provider

    known = provider.OperatorProvider()
    return {name: known[name] for name in OPERATORS}


def mutated_files(folder: str) -> list[str]:
    """Files of a folder of the package, without those that numba compiles."""
    return [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "knngraph" / folder).glob("*.py"))
        if not path.name.startswith("_")
    ]


def all_mutants(folders: tuple[str, ...] = FOLDERS) -> list[Mutant]:
    """Every mutant of some folders, in the order of files and operators."""
    from cosmic_ray.ast import ast_nodes, get_ast

    mutants = []
    for file in (file for folder in folders for file in mutated_files(folder)):
        typed, computed = _places(_text(file))
        nodes = list(ast_nodes(get_ast(_text(file))))
        for name, operator in _operators().items():
            places = [
                start
                for node in nodes
                for start, _ in operator().mutation_positions(node)
            ]
            mutants += [
                Mutant(file, name, occurrence, place[0])
                for occurrence, place in enumerate(places)
                if not _within(place, typed)
                # The star before arguments by name is an operator to Cosmic Ray.
                and (_within(place, computed) or "BinaryOperator" not in name)
            ]
    return mutants


def drawn(mutants: list[Mutant], n: int, seed: int) -> list[Mutant]:
    """A sample; a larger one of the same seed begins with the smaller one.

    Mutants of a file are drawn again after others have changed.
    """

    def rank(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant}".encode()).digest()

    return list(islice(filter(_is_python, sorted(mutants, key=rank)), n))


def _is_python(mutant: Mutant) -> bool:
    try:
        ast.parse(mutant.source())
    except SyntaxError:
        return False
    return True


_Place = tuple[int, int]


def _within(place: _Place, spans: list[tuple[_Place, _Place]]) -> bool:
    return any(begin <= place < end for begin, end in spans)


def _places(text: str) -> tuple[list[tuple[_Place, _Place]], ...]:
    """Where annotations begin and end, which no test can notice, and operations."""
    typed: list[ast.AST] = []
    computed: list[ast.AST] = []
    for node in ast.walk(ast.parse(text)):
        types = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        typed += [one for one in types if one is not None]
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            typed.append(node)
        if isinstance(node, ast.BinOp):
            computed.append(node)
    return tuple(
        [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in nodes]
        for nodes in (typed, computed)
    )
