"""The Jinja environment of flow templates: sandboxed, strict, bounded.

Templates see JSON values and nothing else. `a.b` is a key, never an attribute of a Python object;
only a call may name a method, of a short list, of texts, mappings and lists. Whatever can make
much out of little (repetition, padding, ranges, formats, loops) is held to a size.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from workbench import codec
from workbench.flow.expression import text_of

__all__ = ["BOUNDED", "EACH", "METHOD", "OUTPUT", "TEXT", "Sandbox", "clean"]

MAX_LENGTH = 1_000_000
"""Characters or items that one step of a template may produce; an event is 1 MiB by default."""
MAX_STEPS = 10_000
"""Elements of a range, and rounds of all loops of one rendering together."""
MAX_BITS = 4096
MAX_PADDING = 10_000

TEXT, METHOD, EACH, RANGE = "wb_text", "wb_method", "wb_each", "wb_range"
OUTPUT, BOUNDED = "wb_output", "wb_bounded"
"""Filters of ours that the compiler in `jinja` puts in; templates can't name them."""

# fmt: off
FILTER_NAMES = (
    "abs", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape",
    "filesizeformat", "first", "float", "indent", "int", "items", "last", "length", "list",
    "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select",
    "selectattr", "slice", "sort", "striptags", "sum", "title", "trim", "truncate", "unique",
    "upper", "urlencode", "wordcount", "wordwrap",
)
_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset((
        "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha",
        "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "isupper", "join", "lower",
        "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex",
        "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip",
        "swapcase", "title", "upper", "zfill",
    )),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
}
# fmt: on
_LOOP_NAMES = frozenset(
    ("index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem")
)
_WIDE_FORMAT = re.compile(r"[0-9]{4,}|\*")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja for flow files; what loops and blocks may still do in this rendering is counted."""

    intercepted_binops = frozenset(("*", "**", "%", "+"))

    def __init__(self) -> None:
        # Constants are not folded: a bomb should go off within limits, not while compiling.
        super().__init__(undefined=StrictUndefined, optimized=False, cache_size=0)
        self.start()
        filters: dict[str, Callable[..., Any]] = {name: FILTERS[name] for name in FILTER_NAMES}
        filters |= {"indent": _indent, "wordwrap": _wordwrap}
        for name in ("center", "indent", "batch", "slice", "round", "wordwrap", "truncate"):
            filters[name] = _with_small_numbers(filters[name])
        filters |= {"replace": _replace, "join": _join, "format": _format, "tojson": _tojson}
        filters |= {"string": text_of, TEXT: _text, METHOD: _call_method}
        filters |= {EACH: self._each, RANGE: _range, OUTPUT: self._output, BOUNDED: _bounded}
        self.filters = filters
        self.tests = {name: test for name, test in TESTS.items() if name != "callable"}
        self.globals = {}

    def start(self) -> None:
        """Begin a rendering: what counts, counts from here."""
        self.steps_left = MAX_STEPS
        self.characters_left = MAX_LENGTH

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute` as the key of a mapping; anything else is undefined."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]` of a mapping, list or text; anything else is undefined."""
        if isinstance(obj, (dict, list, str, tuple, Mapping)):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                return self.undefined(f"{argument!r} is not there")
        if isinstance(obj, StrictUndefined):
            return obj[argument]
        if type(obj).__name__ == "LoopContext" and argument in _LOOP_NAMES:
            return getattr(obj, argument)
        return self.undefined(f"{argument!r} is not there")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operator, unless its result would be too large."""
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, (str, list, tuple)) and isinstance(other, int):
                    _check_length(len(one) * other)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() * abs(right))
        elif operator == "%" and isinstance(left, str):
            return _format(left, *(right if isinstance(right, tuple) else (right,)))
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, (str, list, tuple)):
            _check_length(len(result))
        elif isinstance(result, int):
            _check_bits(result.bit_length())
        return result

    def is_safe_callable(self, obj: Any) -> bool:
        """Nothing: what may be called is called through filters of ours."""
        return False

    def _each(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise ValueError(f"its loops go round more than {MAX_STEPS:,} times")
            yield value

    def _output(self, value: Any) -> str:
        text = _text(value)
        self.characters_left -= len(text)
        if self.characters_left < 0:
            raise ValueError(f"it gives more than {MAX_LENGTH:,} characters")
        return text


def clean(value: Any) -> Any:
    """What an expression gave, as a JSON value: generators and tuples become lists.

    Raises:
        ValueError: something has no form in JSON, or is too large.
        jinja2.UndefinedError: something in it is not there.
    """
    return _Cleaner().clean(value)


class _Cleaner:
    """Counts what it makes; what is reached twice is made once and counted twice."""

    def __init__(self) -> None:
        self.left = MAX_LENGTH
        self.done: dict[int, tuple[Any, int, Any]] = {}

    def clean(self, value: Any) -> Any:
        if value is None or type(value) in (str, bool):
            return value
        if isinstance(value, (int, float)):
            return _checked_number(value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, StrictUndefined):
            return str(value)
        known = self.done.get(id(value))
        if known is not None:
            self._count(known[1])
            return known[0]
        before = self.left
        result: Any
        if isinstance(value, Mapping):
            self._count(len(value))
            result = {text_of(key): self.clean(item) for key, item in value.items()}
        elif isinstance(value, (list, tuple, Iterator, range)):
            result = []
            for item in value:
                self._count(1)
                result.append(self.clean(item))
        else:
            raise ValueError(f"it gives a {type(value).__name__}, which is no JSON value")
        # The value is kept so that its id stays its own.
        self.done[id(value)] = (result, before - self.left, value)
        return result

    def _count(self, values: int) -> None:
        self.left -= values
        if self.left < 0:
            raise ValueError(f"it gives more than {MAX_LENGTH:,} values")


def _checked_number(value: float) -> float:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("it gives a whole number of more than 64 bits")
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"it gives {value}, which JSON has no form for")
    return value


def _check_length(length: int) -> None:
    if length > MAX_LENGTH:
        raise ValueError(f"it would give {length:,} characters or items; {MAX_LENGTH:,} at most")


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise ValueError("it would give too large a number")


def _text(value: Any) -> str:
    """A value inside a longer text."""
    return str(value) if isinstance(value, StrictUndefined) else text_of(value)


def _bounded(value: str) -> str:
    _check_length(len(value))
    return value


def _range(_: None, *arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MAX_STEPS:
        raise ValueError(f"range() of {len(numbers):,} elements; {MAX_STEPS:,} at most")
    return numbers


def _with_small_numbers(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def bounded(*arguments: Any, **named: Any) -> Any:
        for number in (*arguments[1:], *named.values()):
            if isinstance(number, int) and abs(number) > MAX_PADDING:
                raise ValueError(f"{number:,} is too much; {MAX_PADDING:,} at most")
        return original(*arguments, **named)

    return bounded


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Jinja's, of texts only: a list it would extend in place, which is the event's own."""
    text, step = _text(value), width if isinstance(width, str) else " " * width
    _check_length(len(text) + len(text.splitlines()) * len(step))
    indented: str = FILTERS["indent"](text, step, first, blank)
    return indented


@pass_environment
def _wordwrap(
    environment: Any,
    value: Any,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str | None = None,
    break_on_hyphens: bool = True,
) -> str:
    text = _text(value)
    # Of two lines in a row, together they are longer than the width.
    lines = len(text.splitlines()) + 2 * len(text) // max(1, width)
    _check_length(len(text) + lines * len(wrapstring or "\n"))
    wrapped: str = FILTERS["wordwrap"](
        environment, text, width, break_long_words, wrapstring, break_on_hyphens
    )
    return wrapped


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    _check_length(len(text) + text.count(old) * max(0, len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


@pass_environment
def _join(
    environment: Any, value: Iterable[Any], separator: str = "", attribute: str | None = None
) -> str:
    if attribute is not None:
        value = map(make_attrgetter(environment, attribute), value)
    return _join_texts(_text(separator), value)


def _join_texts(separator: str, values: Iterable[Any]) -> str:
    texts = []
    length = 0
    for item in values:
        texts.append(_text(item))
        length += len(texts[-1]) + len(separator)
        _check_length(length)
    return separator.join(texts)


def _format(value: Any, *arguments: Any, **named: Any) -> str:
    text = _text(value)
    if _WIDE_FORMAT.search(text):
        raise ValueError("a width in a format has at most three digits")
    result = text % (named or tuple(arguments))
    _check_length(len(result))
    return result


def _tojson(value: Any) -> str:
    return codec.encode(clean(value)).decode()


def _call_method(value: Any, name: str, *arguments: Any, **named: Any) -> Any:
    """`value.name(...)` for the methods that templates may call."""
    kind = next((kind for kind in _METHODS if isinstance(value, kind)), None)
    if isinstance(value, StrictUndefined):
        return str(value)
    if kind is None or name not in _METHODS[kind]:
        raise SecurityError(f"'{name}()' can't be called here")
    if kind is str and name == "replace":
        return _replace(value, *arguments)
    if kind is str and name == "join":
        return _join_texts(value, *arguments)
    if name == "zfill":
        _check_length(arguments[0])
    result = getattr(value, name)(*arguments, **named)
    return list(result) if kind is dict and name != "get" else result
