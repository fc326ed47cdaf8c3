"""Label selectors in Calico's grammar.

Knows the text and sets of labels; not what is chosen by them. From the loosest to the tightest:

    a || b      a && b      !a      (a)
    k == 'v'    k != 'v'    k in {'v', 'w'}    k not in {'v', 'w'}
    k contains 'v'    k starts with 'v'    k ends with 'v'    has(k)    all()    global()

`!=` and `not in` also hold where the label is absent, as in Calico. No text at all means `all()`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from annotations.problems import bounded
from speaker.model.fabric import Selector

LONGEST = 4096
"""How many characters a selector may have."""

DEEPEST = 32
"""How deep parentheses and negations may nest."""

LONGEST_KEY = 512

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Everything:
    """`all()` and `global()`: on objects without a namespace they mean the same."""

    def matches(self, labels: Labels) -> bool:
        del labels
        return True

    def keys(self) -> Iterator[str]:
        yield from ()

    def __str__(self) -> str:
        return "all()"


@dataclass(frozen=True, slots=True)
class _Has:
    key: str

    def matches(self, labels: Labels) -> bool:
        return self.key in labels

    def keys(self) -> Iterator[str]:
        yield self.key

    def __str__(self) -> str:
        return f"has({self.key})"


@dataclass(frozen=True, slots=True)
class _Compare:
    """A label against one text: ==, !=, contains, starts with or ends with."""

    key: str
    operator: str
    text: str

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        if self.operator == "!=":
            return value != self.text
        if value is None:
            return False
        match self.operator:
            case "==":
                return value == self.text
            case "contains":
                return self.text in value
            case "starts with":
                return value.startswith(self.text)
            case _:
                return value.endswith(self.text)

    def keys(self) -> Iterator[str]:
        yield self.key

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class _In:
    """A label against a set of texts."""

    key: str
    texts: frozenset[str]
    negated: bool

    def matches(self, labels: Labels) -> bool:
        return (labels.get(self.key) in self.texts) is not self.negated

    def keys(self) -> Iterator[str]:
        yield self.key

    def __str__(self) -> str:
        texts = ", ".join(_quoted(text) for text in sorted(self.texts))
        return f"{self.key} {'not in' if self.negated else 'in'} {{{texts}}}"


@dataclass(frozen=True, slots=True)
class _Not:
    operand: "_Expression"

    def matches(self, labels: Labels) -> bool:
        return not self.operand.matches(labels)

    def keys(self) -> Iterator[str]:
        yield from self.operand.keys()

    def __str__(self) -> str:
        simple = isinstance(self.operand, _Has | _Everything)
        return f"!{self.operand}" if simple else f"!({self.operand})"


@dataclass(frozen=True, slots=True)
class _Joined:
    """Two or more expressions, all joined by && or all by ||."""

    operator: str
    operands: "tuple[_Expression, ...]"

    def matches(self, labels: Labels) -> bool:
        decide = all if self.operator == "&&" else any
        return decide(operand.matches(labels) for operand in self.operands)

    def keys(self) -> Iterator[str]:
        for operand in self.operands:
            yield from operand.keys()

    def __str__(self) -> str:
        return f" {self.operator} ".join(
            f"({operand})" if isinstance(operand, _Joined) else str(operand) for operand in self.operands
        )


_Expression = _Everything | _Has | _Compare | _In | _Not | _Joined


class LabelSelector(Selector):
    """A selector that was parsed; its text is canonical, so that equal ones are equal.

    Attributes:
        keys: the labels that decide.
    """

    __slots__ = ("_root", "keys")

    def __init__(self, root: _Expression) -> None:
        super().__init__(str(root))
        self._root = root
        self.keys = frozenset(root.keys())

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is chosen."""
        return self._root.matches(labels)


def parse(text: str) -> LabelSelector:
    """The selector that a text means; raises ValueError, which says where and what would be right."""
    if len(text) > LONGEST:
        raise ValueError(f"must be a selector of at most {LONGEST} characters")
    return LabelSelector(_Parser(text).whole())


class _Token(NamedTuple):
    """`kind` is "text", "word", "symbol" or "end"; `position` counts characters from 1."""

    kind: str
    text: str
    position: int


_TOKEN = re.compile(
    r"""(?P<text>"[^"]*"|'[^']*')|(?P<symbol>&&|\|\||==|!=|[!(){},])|(?P<word>[A-Za-z0-9_./-]+)"""
)
_BLANK = re.compile(r"[ \t\r\n]*")

# What may stand after a label beside a symbol; blanks between the two words are free, as in Calico.
_WORD_OPERATORS = {
    ("in",): "in",
    ("not", "in"): "not in",
    ("notin",): "not in",
    ("contains",): "contains",
    ("starts", "with"): "starts with",
    ("startswith",): "starts with",
    ("ends", "with"): "ends with",
    ("endswith",): "ends with",
}
_AN_OPERATOR = "==, !=, in, not in, contains, starts with or ends with"
_AN_OPERAND = "a label, has(...), all(), ! or ("


class _Parser:
    """One walk over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0

    def whole(self) -> _Expression:
        """The expression that is the whole text."""
        if self._peek.kind == "end":
            return _Everything()
        found = self._either(0)
        if self._peek.kind != "end":
            raise self._expected("&&, || or the end")
        return found

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, symbol: str) -> bool:
        """Go past a symbol if it is the next token."""
        if self._peek.kind != "symbol" or self._peek.text != symbol:
            return False
        self._next += 1
        return True

    def _need(self, symbol: str) -> None:
        if not self._take(symbol):
            raise self._expected(symbol)

    def _word(self, what: str) -> str:
        token = self._peek
        if token.kind != "word" or len(token.text) > LONGEST_KEY:
            raise self._expected(what)
        self._next += 1
        return token.text

    def _text(self) -> str:
        token = self._peek
        if token.kind != "text":
            raise self._expected("a text in quotes")
        self._next += 1
        return token.text[1:-1]

    def _expected(self, what: str) -> ValueError:
        found = "the end" if self._peek.kind == "end" else bounded(self._peek.text)
        return ValueError(
            f"is no selector: character {self._peek.position} must be {what}, and there is {found}"
        )

    def _either(self, depth: int) -> _Expression:
        return self._joined("||", [self._both(depth)], lambda: self._both(depth))

    def _both(self, depth: int) -> _Expression:
        return self._joined("&&", [self._single(depth)], lambda: self._single(depth))

    def _joined(
        self, operator: str, operands: list[_Expression], more: Callable[[], _Expression]
    ) -> _Expression:
        while self._take(operator):
            operands.append(more())
        return _Joined(operator, tuple(operands)) if operands[1:] else operands[0]

    def _single(self, depth: int) -> _Expression:
        if depth > DEEPEST:
            raise ValueError(f"must be a selector that nests at most {DEEPEST} deep")
        if self._take("!"):
            operand = self._single(depth + 1)
            return operand.operand if isinstance(operand, _Not) else _Not(operand)
        if self._take("("):
            inner = self._either(depth + 1)
            self._need(")")
            return inner
        key = self._word(_AN_OPERAND)
        if self._take("("):
            return self._function(key)
        return self._comparison(key)

    def _function(self, name: str) -> _Expression:
        if name not in {"has", "all", "global"}:
            self._next -= 1
            raise self._expected(_AN_OPERATOR)
        found: _Expression = _Has(self._word("a label")) if name == "has" else _Everything()
        self._need(")")
        return found

    def _comparison(self, key: str) -> _Expression:
        operator = self._operator()
        if operator in {"in", "not in"}:
            return _In(key, self._set(), operator == "not in")
        return _Compare(key, operator, self._text())

    def _operator(self) -> str:
        for symbol in ("==", "!="):
            if self._take(symbol):
                return symbol
        for words, operator in _WORD_OPERATORS.items():
            tokens = self._tokens[self._next : self._next + len(words)]
            if tuple(token.text for token in tokens if token.kind == "word") == words:
                self._next += len(words)
                return operator
        raise self._expected(_AN_OPERATOR)

    def _set(self) -> frozenset[str]:
        """Texts in braces; there may be none, and a comma after the last."""
        self._need("{")
        texts: set[str] = set()
        while self._peek.kind == "text":
            texts.add(self._text())
            if not self._take(","):
                break
        self._need("}")
        return frozenset(texts)


def _tokens(text: str) -> Iterator[_Token]:
    position = _end_of_blank(text, 0)
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise ValueError(f"is no selector: character {position + 1} {_why_not(text[position])}")
        yield _Token(found.lastgroup, found[0], position + 1)
        position = _end_of_blank(text, found.end())
    yield _Token("end", "", len(text) + 1)


def _end_of_blank(text: str, start: int) -> int:
    found = _BLANK.match(text, start)
    return found.end() if found else start


def _why_not(character: str) -> str:
    if character in "'\"":
        return "begins a text without an end"
    twice = {"=": "==", "&": "&&", "|": "||"}
    if character in twice:
        return f"must be {twice[character]}"
    return f"means nothing here: {bounded(character) or 'a control character'}"


def _quoted(text: str) -> str:
    """A text in the quotes that it does not contain; it never contains both."""
    return f'"{text}"' if "'" in text else f"'{text}'"
