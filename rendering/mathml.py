"""Formulas in the form of code, ``y = 1 / (1 + exp(-x))``, as MathML.

The form is that of the docstrings: Python, but that ``^`` raises, a product may be written with a space between its
factors, ``sum_ik`` sums over i and k, ``x_i`` has an index, ``|x|`` is an absolute value, and words stand between
formulas. A sentence keeps its words and gets its formulas set; what cannot be read as a formula stays code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from markupsafe import Markup, escape

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "eta": "η",
    "lambda": "λ",
    "mu": "μ",
    "nu": "ν",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "Phi": "Φ",
    "theta": "θ",
}
"""Names of Greek letters; a number behind one is its index."""

BINARY: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "−", ast.Mult: "·", ast.MatMult: "", ast.Mod: "mod"}
COMPARED = {
    ast.Gt: ">",
    ast.Lt: "<",
    ast.GtE: "≥",
    ast.LtE: "≤",
    ast.Eq: "=",
    ast.NotEq: "≠",
}
FENCES = {"absolute": "||", "abs": "||", "norm": "‖‖", "floor": "⌊⌋", "ceil": "⌈⌉"}
PREFIXES = {ast.USub: "−", ast.UAdd: "+"}
TIGHTNESS = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2, ast.MatMult: 2, ast.Mod: 2, ast.USub: 2, ast.Pow: 4}
ATOM = 9
SPACE = Markup('<mspace width="0.3em"/>')
"""Between the matrices of a product."""
THIN = Markup('<mspace width="0.17em"/>')
"""Between a letter and a word."""

PROSE = frozenset(
    "the of as is it its by from there all their that than to which one are on where with over elsewhere".split()
)
"""Words by which a sentence is told from a product of names."""

BETWEEN = re.compile(r"\s+(?:where|with|and|over|elsewhere|for)\b\s*|[:;]\s+|,\s+(?:and\s+)?(?:where\s+)?")
"""What stands between two formulas of a sentence."""

CODE = re.compile(r"``([^`]+)``")


class Unreadable(Exception):
    """Not a formula in this form."""


def to_mathml(formula: str, letters: Mapping[str, Markup] | None = None, *, block: bool = False) -> Markup:
    """A formula as a ``math`` element; as ``code`` where it cannot be read as one.

    ``letters`` are set in the place of names. A formula of several lines, or with words behind it, keeps them.

    >>> print(to_mathml("y = x^2"))
    <math><mrow><mi>y</mi><mo>=</mo><msup><mi>x</mi><mn>2</mn></msup></mrow></math>
    >>> print(to_mathml("what is no formula"))
    <code>what is no formula</code>
    """
    try:
        inside = set_formula(formula, letters or {})
    except Unreadable:
        return Markup("<code>{}</code>").format(formula)
    return Markup("<math{}>{}</math>").format(Markup(' display="block"') if block else "", inside)


def with_formulas(text: str, letters: Mapping[str, Markup] | None = None) -> Markup:
    """A sentence with every formula between double backquotes set.

    >>> print(with_formulas("The sum: ``y = a + b``."))
    The sum: <math><mrow><mi>y</mi><mo>=</mo><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></mrow></math>.
    """
    pieces = CODE.split(text)
    return Markup("").join(
        set_piece(piece, letters) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


def set_piece(formula: str, letters: Mapping[str, Markup] | None = None) -> Markup:
    """A formula, or several with the words that are between them; as code if one of them cannot be read."""
    made = to_mathml(formula, letters)
    parts = list(apart(formula)) if made.startswith("<code>") else []
    set_parts = [escape(part) if place % 2 else to_mathml(part, letters) for place, part in enumerate(parts) if part]
    return Markup("").join(set_parts) if parts and not any(part.startswith("<code>") for part in set_parts) else made


def apart(text: str) -> Iterator[str]:
    """The formulas of a sentence, and between each two of them the words, all that is outside of parentheses."""
    start = 0
    for found in BETWEEN.finditer(text):
        if depth(text[: found.start()]) == 0:
            yield text[start : found.start()]
            yield found[0]
            start = found.end()
    yield text[start:]


def depth(text: str) -> int:
    """How many parentheses and brackets are open at the end of a text."""
    return sum(text.count(sign) for sign in "([{") - sum(text.count(sign) for sign in ")]}")


def set_formula(formula: str, letters: Mapping[str, Markup]) -> Markup:
    """What stands in the ``math`` element."""
    if not PROSE.isdisjoint(re.findall(r"\w+", formula)):
        raise Unreadable(formula)
    formula = re.sub(r"1\{(\w+) = (\w+)\}", r"indicator(\1, \2)", formula)
    left, equals, right = formula.partition(" = ")
    if equals and (" = " in right or depth(left)):
        raise Unreadable(formula)
    sides = [left, right] if equals else [left]
    made = [Setter(letters).expression(parsed(side)) for side in sides]
    return row(made[0], operator("="), made[1]) if equals else made[0]


def parsed(text: str) -> ast.expr:
    """An expression, once it is written as Python has it."""
    text = re.sub(r"\|([^|]+)\|", r"absolute(\1)", text)
    for found in reversed(list(re.finditer(r"\b(sum|max)(?:_([a-z]+))? (?=[\w(])", text))):
        name, over, rest = found[1], found[2], text[found.end() :]
        end = next((place for place in range(len(rest)) if depth(rest[:place]) == 0 and ends(rest[place:])), len(rest))
        called = f"{name}_over({over}, {rest[:end]})" if over else f"{name}({rest[:end]})"
        text = text[: found.start()] + called + rest[end:]
    text = re.sub(r"(?<=\w)'", "_prime", text)
    text = text.replace("^T", ".T").replace("^", "**").replace("lambda", "lambda_").replace(" . ", " @ ")
    for _ in range(2):  # a space between two factors is a product; of three, the one in the middle is in both
        text = re.sub(r"(?<=[\w)\]]) (?=[\w(])", " * ", text)
    text = re.sub(r"\b(\d+)(?=[A-Za-z(])", r"\1 * ", text)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise Unreadable(text) from None


def ends(text: str) -> bool:
    """Whether what is summed ends here: before a sum, a difference, a comma or a parenthesis."""
    return text.startswith((" + ", " - ", ",", ")"))


class Setter:
    """Sets expressions, each kind by the method of its name."""

    def __init__(self, letters: Mapping[str, Markup]) -> None:
        self.letters = letters

    def expression(self, node: ast.expr) -> Markup:
        """Any expression."""
        method = getattr(self, type(node).__name__.lower(), None)
        if method is None:
            raise Unreadable(ast.dump(node))
        made: Markup = method(node)
        return made

    def name(self, node: ast.Name) -> Markup:
        """A letter or a word: ``x``, ``x_i``, ``beta1``, ``weight_decay``."""
        return self.letters[node.id] if node.id in self.letters else identifier(node.id, self.letters)

    def constant(self, node: ast.Constant) -> Markup:
        """A number, or three dots."""
        if node.value is ...:
            return operator("…")
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise Unreadable(repr(node.value))
        return Markup("<mn>{}</mn>").format(f"{node.value:g}" if isinstance(node.value, float) else node.value)

    def binop(self, node: ast.BinOp) -> Markup:
        """Two operands: a fraction, a power, or a sign between them."""
        if isinstance(node.op, ast.Div):
            return element("mfrac", self.expression(node.left), self.expression(node.right))
        if isinstance(node.op, ast.FloorDiv):
            quotient = element("mfrac", self.expression(node.left), self.expression(node.right))
            return row(operator("⌊"), quotient, operator("⌋"))
        if isinstance(node.op, ast.Pow):
            return self.power(node)
        if type(node.op) not in BINARY:
            raise Unreadable(ast.dump(node))
        own = TIGHTNESS[type(node.op)]
        left, right = self.tight(node.left, own + mixed(node, node.left)), self.tight(node.right, own + 1)
        if isinstance(node.op, ast.MatMult):
            return row(left, SPACE, right)
        if self.side_by_side(node):
            times = operator("\u2062")  # an invisible one
            return row(left, times, THIN, right) if is_word(node.right) else row(left, times, right)
        return row(left, operator(BINARY[type(node.op)]), right)

    def side_by_side(self, node: ast.BinOp) -> bool:
        """Whether the factors of a product are so plain that no sign is needed between them."""
        last = node.left.right if isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Mult) else node.left
        plain = (ast.Name, ast.Constant, ast.Call)
        single = isinstance(last, ast.Constant) or (isinstance(last, ast.Name) and len(last.id) == 1)
        both = isinstance(node.right, plain) and not isinstance(node.right, ast.Constant)
        renamed = any(isinstance(one, ast.Name) and one.id in self.letters for one in (last, node.right))
        return isinstance(node.op, ast.Mult) and single and both and not renamed

    def power(self, node: ast.BinOp) -> Markup:
        """A base with its exponent."""
        base = self.tight(node.left, TIGHTNESS[ast.Pow])
        if isinstance(node.left, ast.Call | ast.UnaryOp) and not is_absolute(node.left):
            base = fenced(self.expression(node.left))
        return element("msup", base, self.expression(node.right))

    def tight(self, node: ast.expr, needed: int) -> Markup:
        """An operand, in parentheses where it binds less than it must."""
        made = self.expression(node)
        return fenced(made) if tightness(node) < needed else made

    def unaryop(self, node: ast.UnaryOp) -> Markup:
        """A sign before an operand."""
        if type(node.op) not in PREFIXES:
            raise Unreadable(ast.dump(node))
        return row(operator(PREFIXES[type(node.op)]), self.tight(node.operand, 2))

    def compare(self, node: ast.Compare) -> Markup:
        """Which of two is larger."""
        parts = [self.expression(node.left)]
        for sign, right in zip(node.ops, node.comparators, strict=True):
            if type(sign) not in COMPARED:
                raise Unreadable(ast.dump(node))
            parts += [operator(COMPARED[type(sign)]), self.expression(right)]
        return row(*parts)

    def call(self, node: ast.Call) -> Markup:
        """A function of something: a root, an absolute value, a sum over indices, or one by its name."""
        if node.keywords:
            raise Unreadable(ast.dump(node))
        if not isinstance(node.func, ast.Name):
            if isinstance(node.func, ast.Constant):  # 2 (x + 1)
                return row(self.expression(node.func), fenced(self.expression(*node.args)))
            return row(self.expression(node.func), operator("\u2061"), self.arguments(node.args))
        name, arguments = node.func.id, node.args
        if name == "sqrt" and len(arguments) == 1:
            return element("msqrt", self.expression(arguments[0]))
        if name in FENCES and len(arguments) == 1:
            return row(operator(FENCES[name][0]), self.expression(arguments[0]), operator(FENCES[name][1]))
        if name == "indicator" and len(arguments) == 2:
            equal = row(self.expression(arguments[0]), operator("="), self.expression(arguments[1]))
            return element("msub", Markup("<mn>1</mn>"), equal)
        if name == "sum" and len(arguments) == 1:
            return row(operator("∑"), self.tight(arguments[0], 2))
        if name in ("sum_over", "max_over") and len(arguments) == 2 and isinstance(arguments[0], ast.Name):
            under = row(*(identifier(letter, {}) for letter in arguments[0].id))
            if name == "sum_over":
                return row(element("munder", operator("∑"), under), self.tight(arguments[1], 2))
            return row(element("munder", Markup("<mi>max</mi>"), under), THIN, self.tight(arguments[1], 2))
        return row(self.expression(node.func), operator("\u2061"), self.arguments(arguments))

    def arguments(self, arguments: list[ast.expr]) -> Markup:
        """What a function is given, in parentheses."""
        parts: list[Markup] = []
        for argument in arguments:
            parts += [*([operator(",")] if parts else []), self.expression(argument)]
        return fenced(row(*parts))

    def subscript(self, node: ast.Subscript) -> Markup:
        """An element: the index below."""
        return element("msub", self.expression(node.value), self.expression(node.slice))

    def tuple(self, node: ast.Tuple) -> Markup:
        """Several indices."""
        parts: list[Markup] = []
        for item in node.elts:
            parts += [*([operator(",")] if parts else []), self.expression(item)]
        return row(*parts)

    def slice(self, node: ast.Slice) -> Markup:
        """All of an axis."""
        if node.lower or node.upper or node.step:
            raise Unreadable(ast.dump(node))
        return operator(":")

    def attribute(self, node: ast.Attribute) -> Markup:
        """A transpose, or what a thing has under a name."""
        if node.attr == "T":
            return element("msup", self.tight(node.value, TIGHTNESS[ast.Pow]), Markup("<mi>T</mi>"))
        return row(self.expression(node.value), operator("."), identifier(node.attr, {}))


def is_absolute(node: ast.expr) -> bool:
    """Whether an expression brings its own fences."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FENCES


def mixed(node: ast.BinOp, inner: ast.expr) -> bool:
    """Whether one is a product of matrices and the other of their elements: in which order they are done matters."""
    return isinstance(inner, ast.BinOp) and {type(node.op), type(inner.op)} == {ast.Mult, ast.MatMult}


def is_word(node: ast.expr) -> bool:
    """Whether an expression begins with more than a letter."""
    named = node.func if isinstance(node, ast.Call) and not is_absolute(node) else node
    return isinstance(named, ast.Name) and len(named.id) > 1 and named.id != "sqrt" and named.id not in GREEK


def tightness(node: ast.expr) -> int:
    """How tightly an expression holds together; a fraction is one piece."""
    if isinstance(node, ast.BinOp):
        return ATOM if isinstance(node.op, ast.Div | ast.FloorDiv) else TIGHTNESS[type(node.op)]
    if isinstance(node, ast.UnaryOp):
        return TIGHTNESS[ast.USub]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("sum_over", "sum"):
        return TIGHTNESS[ast.Mult]
    return 0 if isinstance(node, ast.Compare) else ATOM


def identifier(name: str, letters: Mapping[str, Markup]) -> Markup:
    """A name: Greek where it is that of a letter, with an index below where it ends in one."""
    name = name.rstrip("_")
    if name.endswith("_prime"):
        return element("msup", identifier(name.removesuffix("_prime"), letters), operator("′"))
    if found := re.fullmatch(r"(\w+?)_([a-z]|ih|hh)", name):
        base = letters.get(found[1]) or identifier(found[1], {})
        return element("msub", base, Markup("<mi>{}</mi>").format(found[2]))
    if (found := re.fullmatch(r"([A-Za-z]+)(\d+)", name)) and (found[1] in GREEK or len(found[1]) == 1):
        return element("msub", identifier(found[1], {}), Markup("<mn>{}</mn>").format(found[2]))
    return Markup("<mi>{}</mi>").format(GREEK.get(name, name))


def element(tag: str, *inside: Markup) -> Markup:
    """An element with some inside it."""
    return Markup("<{}>{}</{}>").format(Markup(tag), Markup("").join(inside), Markup(tag))


def row(*inside: Markup) -> Markup:
    """Some, side by side; one alone needs no row."""
    return inside[0] if len(inside) == 1 else element("mrow", *inside)


def operator(sign: str) -> Markup:
    """A sign."""
    return Markup("<mo>{}</mo>").format(sign)


def fenced(inside: Markup) -> Markup:
    """Something in parentheses."""
    return row(operator("("), inside, operator(")"))


def derivative(of: str, by: str) -> Markup:
    """``∂loss/∂w`` as a fraction.

    >>> print(derivative("loss", "w"))
    <mfrac><mrow><mo>∂</mo><mi>loss</mi></mrow><mrow><mo>∂</mo><mi>w</mi></mrow></mfrac>
    """
    above, below = (row(operator("∂"), Markup("<mi>{}</mi>").format(name)) for name in (of, by))
    return element("mfrac", above, below)


def formulas(block: str, letters: Mapping[str, Markup] | None = None) -> list[tuple[Markup, str]]:
    """The formulas of a block, one for each line, each with what stands in parentheses behind it.

    A line that goes on with a sign or a parenthesis belongs to the one before.
    """
    lines: list[str] = []
    for line in block.splitlines():
        if lines and re.match(r"\s+[+(]", line):
            lines[-1] += "     " * line.strip().startswith("(") + " " + line.strip()
        elif line.strip():
            lines.append(line)
    made = []
    for line in lines:
        body, _, aside = re.sub(r"\s{3,}(?=\()", "\0", line.strip()).partition("\0")
        made.append((set_piece(" ".join(body.split()), letters), " ".join(aside.split())))
    return made
