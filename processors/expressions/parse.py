"""Words of an expression to a tree, by recursive descent.

expression  = either [ "if" either "else" expression ]
either      = both { "or" both }
both        = negation { "and" negation }
negation    = "not" negation | comparison
comparison  = sum [ sign sum | [ "not" ] "in" "(" literal { "," literal } ")" ]
sum         = product { ( "+" | "-" ) product }
product     = unary { ( "*" | "/" ) unary }
unary       = "-" unary | atom
atom        = literal | name | name "(" arguments ")" | "(" expression ")"
arguments   = [ expression { "," expression } ] [ "where" expression ]
literal     = number | string | "true" | "false"
sign        = "==" | "!=" | "<" | "<=" | ">" | ">="
"""

from collections.abc import Callable

from processors.expressions.tokens import Token, number, string, tokens
from processors.expressions.tree import (
    Among,
    Binary,
    Call,
    Choice,
    Literal,
    Mistake,
    Name,
    Node,
    Place,
    Unary,
    children,
)

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
DEEPEST = 40


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises Mistake for what does not follow the grammar, and for a tree deeper than DEEPEST.
    """
    return _Parser(tokens(text)).whole()


class _Parser:
    """Reads words from left to right; `_depths` knows how deep each tree made so far is."""

    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._at = 0
        self._open = 0
        self._depths: dict[int, int] = {}
        self._made: list[Node] = []

    def whole(self) -> Node:
        node = self._expression()
        if self._next().kind != "end":
            raise self._unexpected("the expression ends here")
        return node

    def _next(self) -> Token:
        return self._words[self._at]

    def _take(self, *texts: str) -> Token | None:
        """Return the next word and go on if it is one of these signs or keywords."""
        word = self._next()
        if word.kind not in ("sign", "keyword") or word.text not in texts:
            return None
        self._at += 1
        return word

    def _need(self, text: str, why: str) -> Token:
        word = self._take(text)
        if word is None:
            raise self._unexpected(why)
        return word

    def _unexpected(self, wanted: str) -> Mistake:
        word = self._next()
        found = "the end" if word.kind == "end" else word.text
        end = word.place.end + (word.kind == "end")
        return Mistake(f"{wanted}, but there is {found}", Place(word.place.first, end))

    def _keep(self, node: Node) -> Node:
        depth = 1 + max((self._depths[id(child)] for child in children(node)), default=0)
        if depth > DEEPEST:
            raise self._too_deep(node.place)
        self._depths[id(node)] = depth
        self._made.append(node)  # so that no id is given twice
        return node

    def _too_deep(self, place: Place) -> Mistake:
        return Mistake(f"it is nested deeper than {DEEPEST} levels; make two definitions", place)

    def _deeper(self, read: Callable[[], Node]) -> Node:
        self._open += 1
        if self._open > DEEPEST:
            raise self._too_deep(self._next().place)
        node = read()
        self._open -= 1
        return node

    def _expression(self) -> Node:
        then = self._deeper(self._either)
        if not self._take("if"):
            return then
        condition = self._either()
        self._need("else", "a condition needs both values: a if condition else b")
        other = self._deeper(self._expression)
        return self._keep(Choice(condition, then, other, then.place.to(other.place)))

    def _either(self) -> Node:
        return self._chain(("or",), self._both)

    def _both(self) -> Node:
        return self._chain(("and",), self._negation)

    def _sum(self) -> Node:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._chain(("*", "/"), self._unary)

    def _chain(self, operators: tuple[str, ...], read: Callable[[], Node]) -> Node:
        left = read()
        while operator := self._take(*operators):
            right = read()
            place = left.place.to(right.place)
            left = self._keep(Binary(operator.text, left, right, place))
        return left

    def _negation(self) -> Node:
        word = self._take("not")
        if word is None:
            return self._comparison()
        operand = self._deeper(self._negation)
        return self._keep(Unary("not", operand, word.place.to(operand.place)))

    def _comparison(self) -> Node:
        left = self._sum()
        if sign := self._take(*COMPARISONS):
            right = self._sum()
            if again := self._take(*COMPARISONS):
                mend = f"comparisons are not chained; write a {sign.text} b and b {again.text} c"
                raise Mistake(mend, again.place)
            place = left.place.to(right.place)
            return self._keep(Binary(sign.text, left, right, place))
        negated = self._take("not")
        if negated is None and not self._take("in"):
            return left
        if negated is not None:
            self._need("in", "after a value not begins `not in`")
        node = self._among(left)
        return node if negated is None else self._keep(Unary("not", node, node.place))

    def _among(self, operand: Node) -> Node:
        self._need("(", 'in needs a list, such as in ("a", "b")')
        options = [self._literal()]
        while self._take(","):
            options.append(self._literal())
        end = self._need(")", "a list is closed by )")
        return self._keep(Among(operand, tuple(options), operand.place.to(end.place)))

    def _unary(self) -> Node:
        word = self._take("-")
        if word is None:
            return self._atom()
        operand = self._deeper(self._unary)
        return self._keep(Unary("-", operand, word.place.to(operand.place)))

    def _atom(self) -> Node:
        if self._take("("):
            node = self._expression()
            self._need(")", "an opened ( is closed by )")
            return node
        if self._next().kind != "name":
            return self._literal()
        name = self._next()
        self._at += 1
        if not self._take("("):
            return self._keep(Name(name.text, name.place))
        return self._call(name)

    def _call(self, name: Token) -> Node:
        arguments: list[Node] = []
        if self._next().text not in (")", "where"):
            arguments.append(self._expression())
            while self._take(","):
                arguments.append(self._expression())
        where = self._expression() if self._take("where") else None
        end = self._need(")", f"the call of {name.text} is closed by )")
        place = name.place.to(end.place)
        return self._keep(Call(name.text, tuple(arguments), where, place))

    def _literal(self) -> Literal:
        minus = self._take("-")
        word = self._next()
        value: float | str | bool
        if word.kind == "number":
            value, kind = number(word), "number"
            value = -value if minus else value
        elif word.kind == "string" and not minus:
            value, kind = string(word), "string"
        elif word.text in ("true", "false") and word.kind == "keyword" and not minus:
            value, kind = word.text == "true", "boolean"
        else:
            raise self._unexpected("a value belongs here")
        self._at += 1
        node = Literal(value, kind, word.place)
        self._keep(node)
        return node
