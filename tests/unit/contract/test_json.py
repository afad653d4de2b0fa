"""Messages to JSON and back. What protobuf's own library says is what is right."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from portcall.contract.catalog import Catalog
from portcall.contract.documents import Document, decode
from portcall.contract.from_json import JsonMismatchError, JsonReader, UnknownTypeError
from portcall.contract.sample import sample
from portcall.contract.to_json import JsonWriteError, JsonWriter

from .compiling import PROTOS, compiled_catalog
from .messages import messages

TYPES = "type.googleapis.com"


def kind(harbour: Catalog, name: str = "harbour.Manifest") -> Descriptor:
    found = harbour.message(name)
    assert found is not None
    return found


def read(harbour: Catalog, text: str, name: str = "harbour.Manifest") -> Any:
    value = decode(Document(text=text, number=1, line=1, column=1))
    return JsonReader(harbour).read(value, kind(harbour, name))


def write(harbour: Catalog, message: Message, *, emit_defaults: bool = False) -> Any:
    return JsonWriter(harbour, emit_defaults=emit_defaults).write(message)


def manifest(harbour: Catalog, **values: Any) -> Any:
    return GetMessageClass(kind(harbour))(**values)


@given(data=st.data())
def test_json_is_what_protobuf_makes_of_it(harbour: Catalog, data: st.DataObject) -> None:
    message = data.draw(messages(kind(harbour), held=kind(harbour, "harbour.Crate")))
    pool = harbour.pool
    ours = write(harbour, message)
    theirs = json_format.MessageToDict(message, descriptor_pool=pool)
    assert json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)
    assert list(ours) == list(theirs)
    whole = write(harbour, message, emit_defaults=True)
    theirs = json_format.MessageToDict(message, descriptor_pool=pool, always_print_fields_with_no_presence=True)
    assert json.dumps(whole, sort_keys=True) == json.dumps(theirs, sort_keys=True)


@given(data=st.data())
def test_message_comes_back_from_its_json(harbour: Catalog, data: st.DataObject) -> None:
    message = data.draw(messages(kind(harbour), held=kind(harbour, "harbour.Crate")))
    written = json.loads(json.dumps(write(harbour, message)))
    again = JsonReader(harbour).read(written, kind(harbour))
    assert again.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


@given(data=st.data())
def test_whatever_json_it_is_given_it_reads_it_as_protobuf_does_or_says_what_is_wrong(
    harbour: Catalog, data: st.DataObject
) -> None:
    message = data.draw(messages(kind(harbour), held=kind(harbour, "harbour.Crate")))
    value = write(harbour, message)
    assert isinstance(value, dict)
    names = [field.json_name for field in kind(harbour).fields]
    garbage = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(names),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(names) | st.text(), inner),
        max_leaves=4,
    )
    value[data.draw(st.sampled_from(names))] = data.draw(garbage)
    try:
        ours = JsonReader(harbour).read(value, kind(harbour))
    except JsonMismatchError as error:
        assert str(error)  # noqa: PT017  # either is right, if the other does not contradict
        return
    theirs = json_format.ParseDict(value, GetMessageClass(kind(harbour))(), descriptor_pool=harbour.pool)
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", ["harbour.Manifest", "harbour.Refusal", "google.protobuf.Struct", "harbour.Crate"])
def test_sample_fits_its_message(harbour: Catalog, name: str) -> None:
    value = sample(kind(harbour, name))
    made = JsonReader(harbour).read(value, kind(harbour, name))
    theirs = json_format.ParseDict(value, GetMessageClass(kind(harbour, name))(), descriptor_pool=harbour.pool)
    assert made == theirs


def test_sample_has_every_field_but_the_rest_of_a_oneof_and_itself(harbour: Catalog) -> None:
    value = sample(kind(harbour))
    assert isinstance(value, dict)
    left_out = {field.json_name for field in kind(harbour).fields} - value.keys()
    assert left_out == {"company", "nobody", "inner"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"int64_value": "5", "numbers": [1, "2", 3.0, 1e2, "1e2"]}',
            {"int64_value": 5, "numbers": [1, 2, 3, 100, 100]},
        ),
        ('{"doubleValue": "1.5", "floatValue": "-Infinity"}', {"double_value": 1.5, "float_value": float("-inf")}),
        ('{"floatValue": 3.4028235e38}', {"float_value": 3.4028234663852886e38}),
        ('{"bytesValue": "-_-_"}', {"bytes_value": b"\xfb\xff\xbf"}),
        ('{"bytesValue": "AQ"}', {"bytes_value": b"\x01"}),
        ('{"flag": 2, "flags": ["FLAG_QUEBEC", 99]}', {"flag": 2, "flags": [1, 99]}),
        ('{"note": null, "stowage": null, "numbers": null, "counts": null}', {}),
        ('{"note": ""}', {"note": ""}),
        ('{"nobody": null}', {"nobody": 0}),
        ('{"person": "x", "company": null}', {"person": "x"}),
        ('{"@odd name": "x"}', {"named_otherwise": "x"}),
        ('{"named_otherwise": "x"}', {"named_otherwise": "x"}),
        ('{"crates": {"true": {"label": "x"}}}', {"crates": {True: {"label": "x"}}}),
        ('{"extra": {}}', {"extra": {}}),
    ],
)
def test_other_spellings_are_read(harbour: Catalog, text: str, expected: dict[str, Any]) -> None:
    assert read(harbour, text) == manifest(harbour, **expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5", "the message should be an object, a harbour.Manifest, and is 5"),
        ('{"notes": 1}', 'the message has no field "notes", being a harbour.Manifest; did you mean "note"?'),
        ('{"Note": ""}', 'the message has no field "Note", being a harbour.Manifest; did you mean "note"?'),
        (
            '{"stowage": {"xxxx": 1}}',
            'the message: stowage has no field "xxxx", being a harbour.Manifest.Stowage, which has bay, crates',
        ),
        (
            '{"stowages": [{}, {"crates": [{"lable": ""}]}]}',
            'the message: stowages[1].crates[0] has no field "lable", being a harbour.Crate; did you mean "label"?',
        ),
        (
            '{"int32_value": 2147483648}',
            "the message: int32_value should be a whole number from -2147483648 to 2147483647, and is 2147483648",
        ),
        ('{"numbers": [1, 1.5]}', "the message: numbers[1] should be a whole number of 64 bits, and is 1.5"),
        ('{"numbers": ["1_000"]}', 'the message: numbers[0] should be a whole number of 64 bits, and is "1_000"'),
        ('{"numbers": [true]}', "the message: numbers[0] should be a whole number of 64 bits, and is true"),
        ('{"numbers": [1e999]}', None),
        ('{"numbers": ["1e999999999"]}', None),
        ('{"numbers": [null]}', "the message: numbers[0] should be no null, which lists cannot hold, and is null"),
        ('{"numbers": 1}', "the message: numbers should be a list, and is 1"),
        ('{"floatValue": 1e39}', None),
        ('{"doubleValue": 1e999}', None),
        ('{"boolValue": "true"}', 'the message: boolValue should be true or false, and is "true"'),
        ('{"stringValue": 5}', "the message: stringValue should be a string, and is 5"),
        ('{"stringValue": "\\ud800"}', None),
        ('{"bytesValue": "A!"}', 'the message: bytesValue should be a string of base64, and is "A!"'),
        ('{"bytesValue": "A"}', 'the message: bytesValue should be a string of base64, and is "A"'),
        (
            '{"flag": "FLAG_QUEBECK"}',
            'the message: flag should be a harbour.Flag (did you mean FLAG_QUEBEC?), and is "FLAG_QUEBECK"',
        ),
        (
            '{"flag": true}',
            "the message: flag should be a harbour.Flag (FLAG_UNSPECIFIED, FLAG_QUEBEC, FLAG_YANKEE), and is true",
        ),
        ('{"counts": []}', "the message: counts should be an object, a map, and is []"),
        (
            '{"counts": {"a b": null}}',
            'the message: counts["a b"] should be no null, which maps cannot hold, and is null',
        ),
        ('{"names": {"x": ""}}', 'the message: names has the key "x", which should be a whole number of 64 bits'),
        ('{"crates": {"yes": {}}}', 'the message: crates has the key "yes", which should be "true" or "false"'),
        (
            '{"person": "", "company": {}}',
            'the message has "person" and "company", which exclude each other (owner)',
        ),
        ('{"int32Value": 1, "int32_value": 1}', 'the message has "int32Value" and "int32_value", which are one field'),
        (
            '{"when": "yesterday"}',
            'the message: when should be a time, as "2026-01-31T09:30:00Z", and is "yesterday"',
        ),
        ('{"stay": 5}', 'the message: stay should be a duration in seconds, as "1.5s", and is 5'),
        ('{"wrappedInt64": "x"}', 'the message: wrappedInt64 should be a whole number of 64 bits, and is "x"'),
        ('{"remarks": [1]}', "the message: remarks should be an object, a map, and is [1]"),
        ('{"list": {}}', "the message: list should be a list, and is {}"),
        ('{"extra": 5}', None),
        ('{"extra": {"label": "x"}}', None),
        (
            '{"extra": {"@type": "harbour.Crate"}}',
            'the message: extra should say the "@type" as "type.googleapis.com/harbour.Crate"',
        ),
        (
            '{"extra": {"@type": "type.googleapis.com/harbour.Nothing"}}',
            "the message: extra says a type that nothing describes: harbour.Nothing",
        ),
        (
            '{"extra": {"@type": "type.googleapis.com/harbour.Crate", "lable": ""}}',
            'the message: extra has no field "lable", being a harbour.Crate; did you mean "label"?',
        ),
        (
            '{"extra": {"@type": "type.googleapis.com/google.protobuf.Duration", "seconds": 1}}',
            'the message: extra should have the google.protobuf.Duration as "value", and nothing else',
        ),
        (
            '{"extra": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1"}}',
            'the message: extra.value should be a duration in seconds, as "1.5s", and is "1"',
        ),
        ('{"extra": {"@type": "type.googleapis.com/x.Y", "@value": "!"}}', None),
        ('{"inner":' * 101 + "{}" + "}" * 101, None),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(harbour: Catalog, text: str, words: str | None) -> None:
    with pytest.raises(JsonMismatchError) as raised:
        read(harbour, text)
    assert words is None or str(raised.value) == words


def test_long_values_are_cut_in_errors(harbour: Catalog) -> None:
    with pytest.raises(JsonMismatchError) as raised:
        read(harbour, json.dumps({"int32Value": "x" * 1_000}))
    assert len(str(raised.value)) < 200


def test_maps_are_in_order(harbour: Catalog) -> None:
    message = manifest(harbour, names={10: "", 9: "", -1: ""}, remarks={"b": 1, "a": 1})
    assert json.dumps(write(harbour, message)) == (
        '{"names": {"-1": "", "9": "", "10": ""}, "remarks": {"a": 1.0, "b": 1.0}}'
    )


def test_any_of_an_unknown_type_keeps_its_bytes_both_ways(harbour: Catalog) -> None:
    message = manifest(harbour, extras=[{"type_url": f"{TYPES}/x.Y", "value": b"\x01\xff"}, {}])
    writer = JsonWriter(harbour)
    value = writer.write(message)
    assert value == {"extras": [{"@type": f"{TYPES}/x.Y", "@value": "Af8="}, {}]}
    assert writer.unknown_types == {"x.Y"}
    assert JsonReader(harbour).read(value, kind(harbour)) == message


def test_any_with_other_bytes_than_its_type_has_keeps_them(harbour: Catalog) -> None:
    message = manifest(harbour, extra={"type_url": f"{TYPES}/harbour.Crate", "value": b"\xff"})
    assert write(harbour, message) == {"extra": {"@type": f"{TYPES}/harbour.Crate", "@value": "/w=="}}


def test_unknown_type_is_named_so_that_it_can_be_looked_up(harbour: Catalog) -> None:
    with pytest.raises(UnknownTypeError) as raised:
        read(harbour, json.dumps({"extra": {"@type": f"{TYPES}/x.Y", "a": 1}}))
    assert raised.value.name == "x.Y"


@pytest.mark.parametrize("values", [{"when": {"seconds": 10**15}}, {"value": {"number_value": float("nan")}}])
def test_what_json_cannot_say_is_an_error(harbour: Catalog, values: dict[str, Any]) -> None:
    with pytest.raises(JsonWriteError, match=r"^a harbour\.Manifest that JSON cannot say: "):
        write(harbour, manifest(harbour, **values))


def test_proto2_has_its_own_rules(tmp_path: Path) -> None:
    catalog = compiled_catalog(PROTOS, "harbour_proto2.proto", tmp_path)
    crate = catalog.message("harbour.old.Crate")
    assert crate is not None
    reader, writer = JsonReader(catalog), JsonWriter(catalog)
    value = {
        "label": "x",
        "colour": "RED",
        "owner": {"name": "Ada", "address": [{"street": "y"}]},
        "[harbour.old.colour_name]": "blue",
        "[harbour.old.colours]": ["BLUE"],
        "[harbour.old.Crate.Lid.lid]": {"crate": {"label": "z"}},
    }
    assert writer.write(reader.read(value, crate)) == value
    for wrong, words in {
        '{"weight": 1}': "the message lacks what harbour.old.Crate requires: label",
        '{"label": "", "colour": 7}': "the message: colour should be a harbour.old.Colour (RED, ROUGE, BLUE), and is 7",
        '{"label": "x", "[harbour.old.unit]": "kg"}': (
            'the message has no field "[harbour.old.unit]", being a harbour.old.Crate, which has label, weight, seal,'
            " note, colour, numbers, owner, text, ..."
        ),
    }.items():
        with pytest.raises(JsonMismatchError) as raised:
            reader.read(json.loads(wrong), crate)
        assert str(raised.value) == words
