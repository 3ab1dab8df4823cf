"""Where settings come from, and how mistakes in them are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_command import Behaviour, invoke

from regengine import settings


def test_the_file_in_the_folder_beats_the_users_own(behaviour: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "regengine.toml").write_text("[sample]\nmax-seconds = 30\n")
    (tmp_path / "home" / "regengine.toml").write_text(
        '[sample]\nmax-seconds = 60\nlights = "~/l.tif"\n'
    )
    assert invoke("sample", "a.jpg")[0] == 0
    expected = [Path("~/l.tif").expanduser()]
    assert behaviour.seen == {"max_seconds": 30.0, "lights": expected, "quiet": False}


def test_environment_beats_file_and_option_beats_both(
    behaviour: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "regengine.toml").write_text("[sample]\nmax-seconds = 30\nquiet = true\n")
    monkeypatch.setenv("REGENGINE_SAMPLE_MAX_SECONDS", "40")
    invoke("sample", "a.jpg")
    assert behaviour.seen["max_seconds"] == 40.0
    assert behaviour.seen["quiet"] is True
    invoke("sample", "a.jpg", "--max-seconds", "50")
    assert behaviour.seen["max_seconds"] == 50.0


def test_sub_commands_have_tables_of_their_own(behaviour: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "regengine.toml").write_text("[tools.fetch]\nradius-km = 900\n")
    assert invoke("tools", "fetch")[0] == 0
    assert behaviour.seen == {"radius_km": 900.0}


def test_a_given_settings_file_replaces_the_usual_ones(
    behaviour: Behaviour, tmp_path: Path
) -> None:
    (tmp_path / "regengine.toml").write_text("[sample]\nmax-seconds = 30\n")
    (tmp_path / "mine.toml").write_text("[sample]\nquiet = true\n")
    assert invoke("--config", "mine.toml", "sample", "a.jpg")[0] == 0
    assert behaviour.seen["max_seconds"] == 15.0
    assert behaviour.seen["quiet"] is True


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[sample]\nmax-second = 3\n", ["[sample]", "max-second", "did you mean max-seconds"]),
        ("[sampel]\n", ["sampel", "did you mean sample"]),
        ("[tools.fetsh]\n", ["[tools]", "fetsh", "did you mean fetch"]),
        ("[sample]\nzzz = 3\n", ["zzz", "known are lights, max-seconds, quiet"]),
        ("sample = 3\n", ["sample must be a table", "[sample]"]),
        ("[sample\n", ["not valid TOML"]),
        ("[sample]\nmax-seconds = 'soon'\n", ["[sample] max-seconds", "soon"]),
    ],
)
def test_a_mistake_in_a_settings_file_is_named(
    behaviour: Behaviour, tmp_path: Path, content: str, words: list[str]
) -> None:
    (tmp_path / "regengine.toml").write_text(content)
    command = ["tools", "fetch"] if "tools" in content else ["sample", "a.jpg"]
    code, output, complaint = invoke(*command)
    assert (code, output) == (2, "")
    assert complaint.startswith(f"Error: {tmp_path / 'regengine.toml'}")
    assert complaint.count("\n") == 1
    assert [word for word in words if word not in complaint] == []


def test_a_mistake_in_a_variable_is_named(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_SAMPLE_MAX_SECONDS", "soon")
    code, _, complaint = invoke("sample", "a.jpg")
    assert code == 2
    assert complaint.startswith("Error: environment variable REGENGINE_SAMPLE_MAX_SECONDS")


def test_a_settings_file_that_is_not_there_is_named(behaviour: Behaviour) -> None:
    code, _, complaint = invoke("--config", "absent.toml", "sample", "a.jpg")
    assert code == 2
    assert "absent.toml" in complaint


def test_variables_cannot_ask_for_the_version(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_VERSION", "1")
    assert invoke("sample", "a.jpg") == (0, "done\n", "")


def test_config_show_says_where_every_value_came_from(
    behaviour: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "regengine.toml").write_text("[sample]\nlights = ['a.tif', 'b.tif']\n")
    monkeypatch.setenv("REGENGINE_TOOLS_FETCH_RADIUS_KM", "40")
    monkeypatch.setenv("REGENGINE_TOOLS_FETCH_TOKEN", "abc")
    code, output, _ = invoke("config", "show", "--json")
    assert code == 0
    rows = {
        (row["command"], row["option"]): (row["value"], row["source"])
        for row in map(json.loads, output.splitlines())
        if row["command"] != "config show"
    }
    variable = "environment REGENGINE_TOOLS_FETCH_"
    assert rows == {
        ("sample", "max-seconds"): (15.0, "default"),
        ("sample", "lights"): (["a.tif", "b.tif"], str(tmp_path / "regengine.toml")),
        ("sample", "quiet"): (False, "default"),
        ("tools fetch", "radius-km"): (40.0, f"{variable}RADIUS_KM"),
        ("tools fetch", "token"): ("(set)", f"{variable}TOKEN"),
    }


def test_config_show_of_a_command_line(behaviour: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "regengine.toml").write_text("[sample]\nlights = ['a.tif', 'b.tif']\n")
    code, output, _ = invoke("config", "show", "sample", "--max-seconds", "4")
    assert code == 0
    lines = [line.split("  ") for line in output.splitlines()]
    table = [[cell.strip() for cell in line if cell] for line in lines]
    assert table == [
        [f"# read {tmp_path / 'regengine.toml'}"],
        ["sample --max-seconds", "4.0", "option"],
        ["sample --lights", "a.tif b.tif", str(tmp_path / "regengine.toml")],
        ["sample --quiet", "False", "default"],
    ]
    code, output, _ = invoke("config", "show", "tools", "fetch", "--radius-km", "4")
    assert output.split("\n")[1].split() == ["tools", "fetch", "--radius-km", "4.0", "option"]


def test_config_show_of_no_command(behaviour: Behaviour) -> None:
    assert invoke("config", "show", "smple")[0] == 2


def test_the_usual_places_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    first, second = settings.settings_paths()
    assert first == tmp_path / "regengine.toml"
    assert second.name == "regengine.toml"
    assert second.parent.name == "regengine"
