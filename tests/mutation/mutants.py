"""Which mutants there are: small changes of the source that a test should notice.

The operators are those of Cosmic Ray (https://cosmic-ray.readthedocs.io). Of the eleven
replacements of a binary operator and the seven of a comparison those are taken that
look alike: a sum that becomes a shift is noticed by any test that runs it.
"""

import ast
import hashlib
import random
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
        typed = _places_of_types(_text(file))
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
                if not any(begin <= place < end for begin, end in typed)
            ]
    return mutants


def drawn(mutants: list[Mutant], n: int, seed: int) -> list[Mutant]:
    """A sample; a larger one of the same seed begins with the smaller one."""
    order = list(mutants)
    random.Random(seed).shuffle(order)
    # The star before arguments by name is an operator to Cosmic Ray.
    return list(islice(filter(_is_python, order), n))


def _is_python(mutant: Mutant) -> bool:
    try:
        ast.parse(mutant.source())
    except SyntaxError:
        return False
    return True


def _places_of_types(text: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations begin and end: no test can notice their changes."""
    places = []
    for node in ast.walk(ast.parse(text)):
        types = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            types.append(node)
        places += [
            ((t.lineno, t.col_offset), (t.end_lineno, t.end_col_offset))
            for t in types
            if t is not None
        ]
    return places
