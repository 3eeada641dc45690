"""Terms of instruments in a JSON file."""

from __future__ import annotations

import json

import pytest
from google.protobuf.json_format import MessageToDict

from crossmargin_cli.demo_data.institutions import instruments
from crossmargin_cli.failures import CommandError
from crossmargin_cli.instrument_file import read_instrument_file


def written(tmp_path, document):
    path = tmp_path / "instruments.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("keep_names", [True, False])
def test_instruments_come_back_as_they_were_written_by_either_spelling_of_fields(tmp_path, keep_names):
    listed = [MessageToDict(one, preserving_proto_field_name=keep_names) for one in instruments()]
    assert read_instrument_file(written(tmp_path, {"instruments": listed})) == list(instruments())


def test_every_instrument_that_cannot_be_read_is_named(tmp_path):
    listed = [
        {"instrument_id": "USD", "cash": {"currency": "USD"}},
        {"instrument_id": "X", "cash": {"curency": "USD"}},
        {"cash": {"currency": "USD"}},
        {"instrument_id": "Y"},
        "Z",
    ]
    with pytest.raises(CommandError) as failure:
        read_instrument_file(written(tmp_path, {"instruments": listed}))
    said = failure.value.message.splitlines()
    assert said[0].endswith("4 instruments cannot be read and nothing was sent")
    assert said[1].startswith("  instrument 2 (X): ")
    assert "curency" in said[1]
    assert said[2:] == [
        "  instrument 3: has no instrument_id",
        "  instrument 4 (Y): has no terms; expected one kind such as cash, perpetual or fixed_rate_bond",
        "  instrument 5: was 'Z'; expected an object with an instrument_id and its terms",
    ]


@pytest.mark.parametrize("text", ["[]", "{}", '{"instruments": []}', '{"instruments": {}}', "7"])
def test_a_file_without_a_list_of_instruments_is_refused_with_an_example(tmp_path, text):
    with pytest.raises(CommandError, match="has no list of instruments") as failure:
        read_instrument_file(written(tmp_path, text))
    assert '"instrument_id": "USD"' in failure.value.next_step


def test_what_is_not_json_is_told_with_the_place(tmp_path):
    with pytest.raises(CommandError, match=r"is not JSON in UTF-8: .*line 1"):
        read_instrument_file(written(tmp_path, "{"))
