"""Intuit's query language: one statement in, its parts out, or one of the two error classes.

``QueryParserError`` (code 4000) is a word the grammar does not know, told in the words of the service's generated parser (the
recorded errors); ``QueryValidationError`` (code 4001) is a well-formed question about something that does not exist.
Words are read one at a time, so that a wrong word is reported before anything behind it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

MAX_RESULTS = 1000
DEFAULT_RESULTS = 100

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_OPERATOR = re.compile(r"<=|>=|[=<>]")

# How the service's parser prints each kind of word: reserved words of the language in angle brackets, others in quotes.
_KEYWORDS = {
    "and": "<AND>",
    "asc": "<ASC>",
    "by": '"by"',
    "count": '"count"',
    "desc": "<DESC>",
    "false": '"false"',
    "from": "<FROM>",
    "in": "<IN>",
    "iterator": '"iterator"',
    "like": "<LIKE>",
    "maxresults": '"maxresults"',
    "null": '"null"',
    "or": "<OR>",
    "order": '"order"',
    "orderby": '"orderby"',
    "select": "<SELECT>",
    "startposition": '"startposition"',
    "true": '"true"',
    "where": "<WHERE>",
}
_AFTER_CONDITION = ("<EOF>", "<AND>", '"iterator"', '"maxresults"', "<OR>", '"order"', '"orderby"', '"startposition"')
_TAIL = ("<EOF>", '"iterator"', '"maxresults"', '"order"', '"orderby"', '"startposition"')
_AFTER_FROM = (*_TAIL, "<WHERE>")
_OPERATORS = ('"<"', '"<="', '"="', '">"', '">="', "<IN>", "<LIKE>")
_VALUES = ("<NUMBER>", "<STRING>", '"false"', '"true"')


class QueryParserError(Exception):
    """Not a statement of the language: fault 4000."""


class QueryValidationError(Exception):
    """A statement about something that does not exist or may not be asked: fault 4001."""


@dataclass(frozen=True)
class Condition:
    """``name operator values``; ``in`` has several values, all others exactly one."""

    name: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """One parsed query. ``columns`` is empty for ``*``; ``order`` holds property names and whether they descend."""

    entity: str
    columns: tuple[str, ...] = ()
    count: bool = False
    conditions: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    start: int = 1
    limit: int = DEFAULT_RESULTS


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    value: str
    line: int
    column: int


class _Words:
    """The words of one statement, read when asked for, with one word of look-ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self._ahead: _Token | None = None

    def peek(self) -> _Token:
        if self._ahead is None:
            self._ahead = self._read()
        return self._ahead

    def next(self) -> _Token:
        token = self.peek()
        self._ahead = None
        return token

    def _place(self, position: int) -> tuple[int, int]:
        line = self.text.count("\n", 0, position) + 1
        return line, position - (self.text.rfind("\n", 0, position) + 1) + 1

    def _read(self) -> _Token:
        while self.position < len(self.text) and self.text[self.position] in " \t\r\n":
            self.position += 1
        start = self.position
        line, column = self._place(start)
        if start == len(self.text):
            return _Token("<EOF>", "", "", line, column)
        character = self.text[start]
        if character == "'":
            value = self._literal()
            return _Token("<STRING>", self.text[start : self.position], value, line, column)
        if word := _WORD.match(self.text, start):
            return self._token(_KEYWORDS.get(word.group().lower(), "<IDENTIFIER>"), word.group(), line, column)
        if number := _NUMBER.match(self.text, start):
            return self._token("<NUMBER>", number.group(), line, column)
        if operator := _OPERATOR.match(self.text, start):
            return self._token(f'"{operator.group()}"', operator.group(), line, column)
        if character in "(),*":
            return self._token(f'"{character}"', character, line, column)
        return self._lexical(start, "")

    def _token(self, kind: str, text: str, line: int, column: int) -> _Token:
        self.position += len(text)
        return _Token(kind, text, text, line, column)

    def _literal(self) -> str:
        start = self.position
        self.position += 1
        value: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == "'":
                return "".join(value)
            if character == "\\" and self.position < len(self.text):
                character = self.text[self.position]
                self.position += 1
            value.append(character)
        return self._lexical(len(self.text), self.text[start:])

    def _lexical(self, position: int, after: str) -> NoReturn:
        line, column = self._place(position)
        if position >= len(self.text):
            seen = "<EOF>"
        else:
            character = self.text[position]
            shown = character if " " <= character <= "~" else f"\\u{ord(character):04x}"
            seen = f'"{shown}" ({ord(character)}),'
        raise QueryParserError(
            f"QueryParserError: Invalid content. Lexical error at line {line}, column {column}.  "
            f'Encountered: {seen} after : "{after}"'
        )


class _Parser:
    def __init__(self, text: str, today: str) -> None:
        self.words = _Words(text)
        self.today = today

    def statement(self) -> Statement:
        self._expect("<SELECT>")
        count, columns = self._columns()
        self._expect("<FROM>")
        entity = self._expect("<IDENTIFIER>").text
        conditions = self._where() if self._take("<WHERE>") else ()
        order, start, limit = self._tail(_AFTER_CONDITION if conditions else _AFTER_FROM)
        return Statement(entity, columns, count, conditions, order, start, limit)

    def _columns(self) -> tuple[bool, tuple[str, ...]]:
        if self._take('"*"'):
            # More columns behind the star add nothing: "select *, Sku from Item" is how clients ask for all of an item.
            while self._take('","'):
                self._expect("<IDENTIFIER>")
            return False, ()
        if self._take('"count"'):
            for kind in ('"("', '"*"', '")"'):
                self._expect(kind)
            return True, ()
        columns = [self._expect("<IDENTIFIER>", '"*"', '"count"').text]
        while self._take('","'):
            columns.append(self._expect("<IDENTIFIER>").text)
        return False, tuple(columns)

    def _where(self) -> tuple[Condition, ...]:
        conditions = [self._condition()]
        while self._take("<AND>"):
            conditions.append(self._condition())
        if self._take("<OR>"):
            raise QueryValidationError("QueryValidationError: operator OR is not supported")
        return tuple(conditions)

    def _condition(self) -> Condition:
        name = self._expect("<IDENTIFIER>").text
        operator = self._expect(*_OPERATORS).text.lower()
        if operator != "in":
            return Condition(name, operator, (self._value(),))
        self._expect('"("')
        values = [self._value()]
        while self._take('","'):
            values.append(self._value())
        self._expect('")"', '","')
        return Condition(name, operator, tuple(values))

    def _value(self) -> str:
        token = self._expect(*_VALUES, "<IDENTIFIER>")
        if token.kind != "<IDENTIFIER>":
            return token.value
        if token.text.upper() != "CURRENT_DATE":
            self._unexpected(token, _VALUES)
        return self.today

    def _tail(self, expected: tuple[str, ...]) -> tuple[tuple[tuple[str, bool], ...], int, int]:
        order: tuple[tuple[str, bool], ...] = ()
        start, limit = 1, DEFAULT_RESULTS
        while (word := self._expect(*expected)).kind != "<EOF>":
            match word.text.lower():
                case "orderby" | "order":
                    order = self._order(word.text.lower())
                case "startposition":
                    start = self._at_least_one()
                case "maxresults":
                    limit = min(self._at_least_one(), MAX_RESULTS)
                case unsupported:
                    raise QueryValidationError(f"QueryValidationError: {unsupported} is not supported")
            expected = _TAIL
        return order, start, limit

    def _order(self, word: str) -> tuple[tuple[str, bool], ...]:
        if word == "order":
            self._expect('"by"')
        keys = [self._order_key()]
        while self._take('","'):
            keys.append(self._order_key())
        return tuple(keys)

    def _order_key(self) -> tuple[str, bool]:
        name = self._expect("<IDENTIFIER>").text
        if self._take("<DESC>"):
            return name, True
        self._take("<ASC>")
        return name, False

    def _at_least_one(self) -> int:
        token = self._expect("<NUMBER>")
        if not token.text.isdigit():
            self._unexpected(token, ("<NUMBER>",))
        if int(token.text) < 1:
            raise QueryValidationError(f"QueryValidationError: value {token.text} is too small. Min allowed value is 1")
        return int(token.text)

    def _take(self, kind: str) -> bool:
        if self.words.peek().kind != kind:
            return False
        self.words.next()
        return True

    def _expect(self, *kinds: str) -> _Token:
        token = self.words.next()
        if token.kind not in kinds:
            self._unexpected(token, kinds)
        return token

    def _unexpected(self, token: _Token, expected: tuple[str, ...]) -> NoReturn:
        seen = '"<EOF>"' if token.kind == "<EOF>" else f'" {token.kind} "{token.text} ""'
        wanted = "".join(f"    {kind} \n" if kind == "<EOF>" else f"    {kind} ...\n" for kind in expected)
        head = "Was expecting one of:" if len(expected) > 1 else "Was expecting:"
        raise QueryParserError(
            f"QueryParserError: Encountered {seen} at line {token.line}, column {token.column}.\n{head}\n{wanted}    "
        )


def parse(text: str, today: str = "") -> Statement:
    """Parse one statement; ``today`` is what ``CURRENT_DATE`` stands for.

    Raises :class:`QueryParserError` or :class:`QueryValidationError`.
    """
    return _Parser(text, today).statement()
