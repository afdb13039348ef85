"""Does YAML mean to meshvm what it means to Istio, and does what meshvm writes mean one thing to every reader?"""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from meshvm.istio.go_yaml import dump, load

TEXT = st.text(st.characters(codec="utf-8"))
HOSTILE = st.text(st.sampled_from("ynoYtrue01_:.eE+-~<>=#'\"\\[]{}*&!|%@` \t\n\r\0\x85\u2028\ufeff🙂"), max_size=8)
STRINGS = TEXT | HOSTILE
VALUES = st.recursive(
    STRINGS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, True) for word in ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")],
        *[(word, False) for word in ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")],
        *[(word, None) for word in ("~", "null", "Null", "NULL", "")],
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("0b101", 5),
        ("-0b101", -5),
        ("1_000", 1000),
        ("+12", 12),
        ("08", 8.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", float("-inf")),
        *[(word, word) for word in ("12:30", "2020-01-01", "yEs", "nULL", "1e", "0x", "<<", "=", "10.0.0.1", "1-30")],
        ("'y'", "y"),
        ('"1"', "1"),
    ],
)
def test_a_plain_word_is_what_go_takes_it_for(text: str, value: object) -> None:
    (read,) = load(f"a: {text}\n")
    assert (read["a"], type(read["a"])) == (value, type(value))


@pytest.mark.parametrize("text", ["a: [", "a: b: c", '{"a": "\\ud83d\\ude42"}', "a: !!python/name:os.system x"])
def test_what_is_no_yaml_to_go_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        load(text)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(STRINGS, VALUES, max_size=5), st.booleans())
def test_every_value_comes_out_of_both_readers_as_it_went_in(value: dict[str, Any], quoted: bool) -> None:
    text = dump({"document": value}, quoted=quoted)
    assert load(text) == [{"document": value}]
    assert yaml.safe_load(text) == {"document": value}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("ratings", "ratings"),
        ("a/b/c", "a/b/c"),
        ("hello world", "hello world"),
        ("a:b", "a:b"),
        ("1-30", "1-30"),
        ("10.0.0.1", "10.0.0.1"),
        ("it's", "it's"),
        ("true", '"true"'),
        ("n", '"n"'),
        ("", '""'),
        ("1.30", '"1.30"'),
        ("12:30", '"12:30"'),
        ("2020-01-01", '"2020-01-01"'),
        ("a: b", "'a: b'"),
        ("a #b", "'a #b'"),
        ("tail:", "'tail:'"),
        ("*", "'*'"),
        ("- a", "'- a'"),
        (" a", "' a'"),
        ("\t", '"\\t"'),
    ],
)
def test_a_word_is_quoted_as_istio_quotes_it(value: str, written: str) -> None:
    assert dump({"a": value}, quoted=False) == f"a: {written}\n"


def test_keys_are_in_the_order_of_istios_writer() -> None:
    """Digits by their number, letters after everything else, upper case before lower."""
    keys = ["NUM9", "NUM10", "ISTIO_META_X", "ISTIO_METAJSON_LABELS", "a", "B", "a-b", "a1", "ab", "_"]
    written = [line.split(":")[0] for line in dump(dict.fromkeys(reversed(keys), 1), quoted=False).splitlines()]
    assert written == ["_", "B", "ISTIO_META_X", "ISTIO_METAJSON_LABELS", "NUM9", "NUM10", "a", "a-b", "a1", "ab"]


def test_collections_are_laid_out_as_istio_does_it() -> None:
    value = {"map": {"empty": {}, "list": [], "items": [{"b": 2, "a": 1}, "x"]}}
    assert dump(value, quoted=False) == "map:\n  empty: {}\n  items:\n  - a: 1\n    b: 2\n  - x\n  list: []\n"
