"""What a part of a notebook needs of the cells before it, found in their syntax trees.

Each statement tells which names it binds, reads, and may change. From these follows what a section
reads that it does not make itself, and which of the earlier statements make it.
"""

import ast
import re
import symtable
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager

COMPOUND = ast.For | ast.While | ast.If | ast.With | ast.Try
DEFINES = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
AT_ONCE = {"listcomp", "setcomp", "dictcomp", "genexpr"}  # scopes that run where they stand
SHOWS = {"print", "display", "plt"}  # what is called on these changes no value


@dataclass(frozen=True)
class Statement:
    """One statement of a cell, at its top level."""

    cell: str
    node: ast.stmt
    binds: frozenset[str]  # names that have a new value after it
    partly: frozenset[str]  # names that perhaps have one, or whose items or attributes have
    changes: frozenset[str]  # names whose objects a call by itself in it may change
    hands: frozenset[str]  # names whose objects it hands to a call of which it keeps the result
    reads: frozenset[str]  # names that it reads, in its functions as well
    later: frozenset[str]  # names that only its functions read, when they are called

    @property
    def makes(self) -> frozenset[str]:
        return self.binds | self.partly


def python_of(source: str) -> str:
    """The Python that IPython runs for a cell; the body of a %%time or %%capture cell counts."""
    source = re.sub(r"\A\s*%%(time|capture)\b.*\n", "", source)
    return TransformerManager().transform_cell(source)


def inner(table: symtable.SymbolTable, at_once: bool = True) -> Iterable[tuple[str, bool]]:
    """The module's names that the scopes within a statement read, and whether at once."""
    for child in table.get_children():
        now = at_once and (child.get_name() in AT_ONCE or child.get_type() == "class")
        for symbol in child.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                yield symbol.get_name(), now
        yield from inner(child, now)


def root(node: ast.expr) -> str:
    """The name at the beginning of torch.optim.AdamW or runs["a"][0], or nothing."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def changed_by(node: ast.stmt) -> set[str]:
    """The names whose objects the calls that stand by themselves in a statement may change.

    These are what a method is called on, and what is handed over by name: model in train(model).
    """
    calls = [n.value for n in ast.walk(node) if isinstance(n, ast.Expr)]
    calls = [c for c in calls if isinstance(c, ast.Call) and root(c) not in SHOWS]
    return {root(c.func) for c in calls}.union(*map(handed, calls))


def handed(call: ast.Call) -> set[str]:
    """The names that are arguments of a call by themselves."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    return {a.id for a in arguments if isinstance(a, ast.Name)}


def is_setting(node: ast.stmt) -> bool:
    """Whether a statement sets a seed or an option of a module: torch.manual_seed(1)."""
    call = node.value if isinstance(node, ast.Expr) else None
    name = call.func.attr if isinstance(call, ast.Call) and hasattr(call.func, "attr") else ""
    return "seed" in name or name.startswith("set_")


def read_statement(cell: str, node: ast.stmt) -> Statement:
    table = symtable.symtable(ast.unparse(node), cell, "exec")
    own = table.get_symbols()
    bound = {s.get_name() for s in own if s.is_assigned() or s.is_imported()}
    # Python deletes the name of a caught exception when its block ends.
    caught = {n.name for n in ast.walk(node) if isinstance(n, ast.ExceptHandler)}
    bound -= caught
    within = list(inner(table))
    hands = set()
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        hands = handed(node.value)
    stored = {
        root(n)
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute | ast.Subscript) and not isinstance(n.ctx, ast.Load)
    }
    changes = changed_by(node)
    if isinstance(node, DEFINES):
        stored, changes = set(), set()  # they happen when it is called
    is_sure = not isinstance(node, COMPOUND | ast.AugAssign)
    reads = {s.get_name() for s in own if s.is_referenced()} | {name for name, _ in within}
    if isinstance(node, ast.AugAssign):
        reads |= bound
    loops = [n.target for n in ast.walk(node) if isinstance(n, ast.For)]
    reads -= {n.id for target in loops for n in ast.walk(target) if isinstance(n, ast.Name)}
    reads -= caught
    return Statement(
        cell,
        node,
        binds=frozenset(bound if is_sure else ()),
        partly=frozenset((stored | (set() if is_sure else bound)) - caught),
        changes=frozenset(changes - caught),
        hands=frozenset(hands),
        reads=frozenset(reads),
        later=frozenset(n for n, now in within if not now),
    )


def statements(sources: Iterable[tuple[str, str]]) -> list[Statement]:
    """The statements of cells, given as ids and sources."""
    return [
        read_statement(cell, node)
        for cell, source in sources
        for node in ast.parse(python_of(source)).body
    ]


def needed(before: Sequence[Statement], after: Iterable[Statement]) -> set[str]:
    """The names of the earlier statements that the later ones read, and what these call."""
    found: set[str] = set()
    bound: set[str] = set()
    for s in after:
        found |= s.reads - bound
        bound |= s.binds
    made_by: dict[str, list[Statement]] = {}
    for s in before:
        for name in s.binds:
            made_by[name] = [s]
        for name in s.partly:
            made_by.setdefault(name, []).append(s)
    wanted, names = [n for n in found if n in made_by], set()
    while wanted:
        name = wanted.pop()
        if name not in names:
            names.add(name)
            called = set().union(*(s.later for s in made_by[name]))
            wanted += [n for n in called if n in made_by]
    return names


def that_make(
    names: Set[str],
    before: Sequence[Statement],
    known: Set[str],
    slow: Set[str],
    built: Set[str] = frozenset(),
    changed: Set[str] = frozenset(),
) -> list[Statement]:
    """The earlier statements that make these names, without those that make only known ones.

    In the cells named as slow, only what binds a name is taken, and no loop and no call by itself.
    Of built names an object of the right form is enough: no loop is run for the last one's sake.
    Those of changed names may have been changed by a call whose result was kept.
    """
    fixed = set().union(*(s.binds for s in before if isinstance(s.node, DEFINES)))
    wanted, passed, taken = set(names) - set(known), set(), []
    for s in reversed(before):
        changes = s.changes if is_setting(s.node) else s.changes - fixed
        enough = built if isinstance(s.node, ast.For | ast.While) else set()
        touched = s.makes if s.cell in slow else s.makes | changes | (s.hands & changed)
        if (touched - enough) & wanted:
            taken.append(s)
            wanted -= s.binds
            # A value that is bound anew further down is not the one that is known.
            wanted |= {n for n in s.reads if n in passed or n not in known}
        passed |= s.makes
    return taken[::-1]


def lacking(cells: Sequence[Statement], left_out: Set[str]) -> dict[str, set[str]]:
    """What is missing without some cells: the cell that reads names -> those that were not made.

    A name is missing if only a cell left out binds it, or if one sets its items or attributes.
    """
    made: set[str] = set()
    kept: set[str] = set()
    found: dict[str, set[str]] = {}
    for s in cells:
        if s.cell in left_out:
            made |= s.makes
            kept -= set() if isinstance(s.node, COMPOUND) else s.partly
            continue
        if missing := (s.reads & made) - kept:
            found.setdefault(s.cell, set()).update(missing)
        kept |= s.binds if not isinstance(s.node, COMPOUND) else s.makes
    return found
