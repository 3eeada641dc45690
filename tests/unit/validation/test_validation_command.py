"""The command tells who has no history how to give it one."""

from __future__ import annotations

from tests.validation.__main__ import main


def test_without_a_folder_it_says_how_to_name_one(capsys):
    assert main([], {}) == 2
    assert "give --history DIR or set CROSSMARGIN_HISTORY_DIR" in capsys.readouterr().err


def test_a_folder_without_history_is_named(tmp_path, capsys):
    assert main([], {"CROSSMARGIN_HISTORY_DIR": str(tmp_path)}) == 2
    assert f"{tmp_path} cannot be read" in capsys.readouterr().err
    assert main(["--history", str(tmp_path / "nowhere")], {}) == 2
