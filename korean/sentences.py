"""The sentences that a program puts together for its reader, taken out of its syntax tree.

Each string and each f-string that has words is a text of its own. What an f-string fills in stays
in braces, as in "{where}the weights sum to {total:.3g}.", and has to stand in the Korean too,
unless it is English grammar alone: {'is' if n == 1 else 'are'}. A join such as
" and ".join(names) is the text "{a} and {b}". A text that is data, and no sentence, stays as it
is: its Korean is the English.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from course.language import KOREAN

FIELD = re.compile(r"{[^{}]*}")
CALL = re.compile(r"[\w.]+\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
WORD = re.compile(r"[A-Za-z]{2,}(?:[-’'][A-Za-z]+)*|a")
GRAMMAR = {"", "s", "es", "is", "are", "has", "have", "a", "an", "it", "they", "its", "their"}
# What these look for in a string is no text.
OF_STRINGS = {"partition", "split", "replace", "startswith", "endswith", "removesuffix"}


def sentences(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of each text of a program, once; the name is the function's and a number."""
    seen = set()
    for part in ast.parse(path.read_text(encoding="utf-8")).body:
        target = part.targets[0] if isinstance(part, ast.Assign) else getattr(part, "target", part)
        name, n = getattr(target, "name", getattr(target, "id", "module")), 0
        for text in texts_in(part):
            if text not in seen | KOREAN.keys():
                seen.add(text)
                n += 1
                yield f"{name} {n}", text


def texts_in(node: ast.AST, in_field: bool = False) -> Iterator[str]:
    """The texts of a part of a program, in their order."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and is_prose(node.value, alone=in_field):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        text = template(node)
        if is_prose(text, alone=text.startswith("{") or " " in text):
            yield text
        for part in node.values:
            if isinstance(part, ast.FormattedValue) and not is_grammar(part.value):
                yield from texts_in(part.value, in_field=True)
    elif isinstance(node, ast.Call):
        owner = getattr(node.func, "value", None)
        if not isinstance(owner, ast.Constant):
            yield from texts_in(node.func)
        elif node.func.attr == "join" and isinstance(owner.value, str) and words(owner.value):
            yield f"{{a}}{owner.value}{{b}}"
        if getattr(node.func, "attr", "") in OF_STRINGS:
            return
        for argument in [*node.args, *(option.value for option in node.keywords)]:
            yield from texts_in(argument)
    elif isinstance(node, ast.Compare):
        for part in (node.left, *node.comparators):
            if not isinstance(part, ast.Constant):
                yield from texts_in(part)
    elif isinstance(node, ast.Subscript):
        yield from texts_in(node.value, in_field)
        yield from texts_in(node.slice)
    else:
        for part in ast.iter_child_nodes(node):
            yield from texts_in(part, in_field)


def template(node: ast.JoinedStr) -> str:
    """The text of an f-string, with what it fills in between braces.

    Raises: ValueError if a brace stands in the text itself.
    """
    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            if set("{}") & set(part.value):
                raise ValueError(f"line {part.lineno}: put {part.value!r} into a field")
            parts.append(part.value)
            continue
        inside = ast.unparse(part.value)
        if any(isinstance(below, ast.JoinedStr) for below in ast.walk(part.value)):
            inside = "…"  # an f-string in an f-string is written in another way in each Python
        sign = f"!{chr(part.conversion)}" if part.conversion > 0 else ""
        form = f":{template(part.format_spec)}" if part.format_spec else ""
        parts.append("{" + re.sub("[{}]", "", f"{inside}{sign}{form}") + "}")
    return "".join(parts)


def is_grammar(expression: ast.expr) -> bool:
    """Whether an expression chooses between the forms of an English word, or adds a plural s."""
    if not isinstance(expression, ast.IfExp | ast.BinOp):
        return False
    ends = (getattr(expression, a, None) for a in ("body", "orelse", "left", "right"))
    values = [end.value for end in ends if isinstance(end, ast.Constant)]
    texts = [value for value in values if isinstance(value, str)]
    return bool(texts) and set(texts) <= GRAMMAR


def words(text: str) -> list[str]:
    """The words of a text that are neither filled in nor part of a program."""
    plain = CALL.sub(" ", re.sub(r"`[^`]*`", " ", FIELD.sub("", text)))
    return [w for token in plain.split() if WORD.fullmatch(w := token.strip(".,:;!?()\"'"))]


def is_prose(text: str, alone: bool) -> bool:
    """Whether a text is more than a name: it has two words, or one that may stand alone."""
    found = words(text)
    return len(found) >= 2 or (len(found) == 1 and (alone or text != text.strip()))


def needed(text: str) -> str:
    """A text without what its Korean may leave out, such as {'is' if n == 1 else 'are'}."""

    def kept(field: re.Match) -> str:
        try:
            left_out = is_grammar(ast.parse(field[0][1:-1], mode="eval").body)
        except SyntaxError:  # it has a format
            left_out = False
        return "" if left_out else field[0]

    return FIELD.sub(kept, text)


def field_faults(english: str, korean: str) -> Iterator[str]:
    """What is filled in on one side only."""
    ours, theirs = set(FIELD.findall(needed(english))), set(FIELD.findall(korean))
    yield from (f"the field {field} is not in the English" for field in sorted(theirs - ours))
    yield from (f"the field {field} is missing" for field in sorted(ours - theirs))
