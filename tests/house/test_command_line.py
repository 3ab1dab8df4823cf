"""The wiring of the command line: lazy commands, errors, exit codes, settings."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import types
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from regengine import settings
from regengine.commands import RegengineGroup, app
from regengine.commands.lazy import leaves, load_command
from regengine.errors import (
    ConfigError,
    EphemerisError,
    FrameError,
    LightMapError,
    RegengineError,
    StoreError,
)

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "cv2", "astropy", "rasterio", "scipy", "sklearn", "skimage", "h5py", "pyproj")


class Behaviour:
    """What the made-up command does when it runs."""

    error: BaseException | None = None
    seen: dict[str, object]


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Behaviour:
    """A made-up command ``sample`` and group ``tools`` in the place of the real ones."""
    behaviour = Behaviour()

    def main(
        photos: list[Path],
        max_seconds: float = 15.0,
        lights: Annotated[list[Path] | None, typer.Option()] = None,
        quiet: bool = False,
    ) -> None:
        """Do something.

        Example: regengine sample photo.jpg
        """
        behaviour.seen = {"max_seconds": max_seconds, "lights": lights, "quiet": quiet}
        if behaviour.error is not None:
            raise behaviour.error
        typer.echo("done")

    tools = typer.Typer(help="Tools.", no_args_is_help=True)

    @tools.command("fetch")
    def fetch(radius_km: float = 500.0, token: str = "") -> None:
        """Fetch. Example: regengine tools fetch"""
        behaviour.seen = {"radius_km": radius_km}

    modules = {"sample": {"main": main}, "tools": {"app": tools}}
    for name, content in modules.items():
        module = types.ModuleType(f"regengine.commands.{name}")
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    summaries = {"sample": "Do something.", "tools": "Tools.", "config": "Settings."}
    monkeypatch.setattr(RegengineGroup, "summaries", summaries)
    monkeypatch.chdir(tmp_path)
    paths = (tmp_path / "regengine.toml", tmp_path / "home" / "regengine.toml")
    paths[1].parent.mkdir()
    monkeypatch.setattr(settings, "settings_paths", lambda: paths)
    for variable in [name for name in os.environ if name.startswith("REGENGINE_")]:
        monkeypatch.delenv(variable)
    return behaviour


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FrameError("a.jpg: truncated; get it again."), 1),
        (ConfigError("--shard 3/2: too many; use 1/2."), 2),
        (LightMapError("l.tif: no CRS; give one."), 3),
        (EphemerisError("t.txt: no element sets; check it."), 3),
        (StoreError("s.h5: cannot be written; free some space."), 3),
        (RegengineError("something; do that."), 3),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(
    behaviour: Behaviour, error: Exception, code: int
) -> None:
    behaviour.error = error
    assert invoke("sample", "a.jpg") == (code, "", f"Error: {error}\n")


def test_success_exits_with_zero(behaviour: Behaviour) -> None:
    assert invoke("sample", "a.jpg") == (0, "done\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "a.jpg", "--no-such-option"],
        ["sample", "a.jpg", "--max-seconds", "soon"],
        ["smple"],
        ["tools", "fetsh"],
        [],
        ["tools"],
        ["sample"],
    ],
)
def test_usage_errors_exit_with_two(behaviour: Behaviour, arguments: list[str]) -> None:
    code, _, complaint = invoke(*arguments)
    assert code == 2
    assert "Traceback" not in complaint


def test_a_misspelt_command_is_met_with_the_right_one(behaviour: Behaviour) -> None:
    assert "Did you mean 'sample'" in invoke("smple")[2]


def test_an_unforeseen_error_is_one_sentence(behaviour: Behaviour) -> None:
    behaviour.error = TypeError("first line\nsecond line")
    code, output, complaint = invoke("sample", "a.jpg")
    assert (code, output) == (1, "")
    assert complaint.count("\n") == 1
    assert "TypeError: first line second line" in complaint
    assert "--debug" in complaint


@pytest.mark.parametrize("arguments", [["--debug", "sample", "a"], ["sample", "a", "--debug"]])
def test_debug_prints_the_traceback_wherever_it_stands(
    behaviour: Behaviour, arguments: list[str]
) -> None:
    behaviour.error = LightMapError("l.tif: no CRS; give one.")
    code, _, complaint = invoke(*arguments)
    assert code == 3
    assert "Traceback" in complaint
    assert complaint.endswith("Error: l.tif: no CRS; give one.\n")


def test_debug_after_a_double_dash_is_a_file_name(behaviour: Behaviour) -> None:
    behaviour.error = LightMapError("l.tif: no CRS; give one.")
    assert "Traceback" not in invoke("sample", "--", "--debug")[2]


def test_missing_opengl_is_explained(behaviour: Behaviour) -> None:
    behaviour.error = ImportError("libGL.so.1: cannot open shared object file")
    assert "opencv-contrib-python-headless" in invoke("sample", "a.jpg")[2]


def test_an_interrupt_exits_with_130(behaviour: Behaviour) -> None:
    behaviour.error = KeyboardInterrupt()
    code, _, complaint = invoke("sample", "a.jpg")
    assert code == 130
    assert "Traceback" not in complaint


def test_giving_up_at_a_question_is_no_error_of_ours(behaviour: Behaviour) -> None:
    behaviour.error = typer.Abort()
    assert "unforeseen" not in invoke("sample", "a.jpg")[2]


def test_a_reader_that_goes_away_is_met_with_silence(behaviour: Behaviour) -> None:
    behaviour.error = BrokenPipeError(32, "Broken pipe")
    assert invoke("sample", "a.jpg") == (141, "", "")


def test_a_closed_pipe_is_quiet_in_a_real_process() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = subprocess.run(
        [sys.executable, "cli.py", "config", "show", "config"],
        cwd=ROOT,
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write_end)
    assert (result.returncode, result.stderr) == (141, b"")


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


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom regengine.commands import run\n"
        "sys.argv = ['regengine', '--help']\n"
        "try:\n    run()\n"
        "finally:\n"
        f"    print('heavy:', [name for name in {HEAVY} if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("heavy: []\n")


@pytest.mark.parametrize("name", sorted(RegengineGroup.summaries))
def test_command_modules_import_nothing_heavy(name: str) -> None:
    script = (
        "import sys\nfrom regengine.commands.lazy import load_command\n"
        f"load_command({name!r})\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("name", sorted(RegengineGroup.summaries))
def test_the_help_of_every_command_has_an_example(name: str) -> None:
    for path in leaves(load_command(name)):
        command = path[-1]
        text = f"{command.help or ''} {command.epilog or ''}"
        words = " ".join(["regengine", *(str(step.name) for step in path)])
        assert "Example" in text, words
        assert words in text


def test_the_launcher_is_the_same_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cli.py", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "cli.py"), run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("regengine ")


def test_the_usual_places_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    first, second = settings.settings_paths()
    assert first == tmp_path / "regengine.toml"
    assert second.name == "regengine.toml"
    assert second.parent.name == "regengine"
