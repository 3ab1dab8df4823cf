"""The program as a whole: its help, settings, errors and exit codes, whatever the command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.conftest import ROOT
from tests.world.program import run, start
from tests.world.skies import night, save

SAMPLES = ROOT / "data_samples"


LIGHTS, ELEMENTS = SAMPLES / "lights.tif", SAMPLES / "tle.txt"


PHOTO = SAMPLES / "ISS990-E-000102.jpg"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and no settings from outside."""
    for name in [name for name in os.environ if name.startswith("REGENGINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    (tmp_path / "work").mkdir()
    (tmp_path / "home" / "regengine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def commands_below(*words: str) -> list[tuple[str, ...]]:
    """Every command that the help names, as the words that call it."""
    listed = run(*words, "--help").out.partition("\nCommands:\n")[2]
    names = re.findall(r"^  ([a-z][a-z-]*)", listed.partition("\n\n")[0], re.M)
    return [leaf for name in names for leaf in commands_below(*words, name)] or [words]


def test_every_command_has_a_help_with_an_example_that_calls_it() -> None:
    commands = commands_below()
    assert len(commands) > 30
    for words in commands:
        said = run(*words, "--help")
        assert (said.code, said.err) == (0, "")
        assert f"regengine {' '.join(words)}" in said.out.partition("Example")[2], words


@pytest.mark.parametrize(
    "words", [["show"], ["register"], ["tle", "info"], ["lens"], ["bench"]], ids=" ".join
)
def test_a_command_without_arguments_says_its_help_as_it_is(folder: Path, words: list[str]) -> None:
    said, helped = run(*words), run(*words, "--help")
    assert (said.code, said.out) == (2, "")
    assert said.err == helped.out
    assert len(said.err.splitlines()) > 8


def test_both_launchers_and_the_module_are_one_program(folder: Path) -> None:
    told = [
        subprocess.run(
            [sys.executable, *words, "--version"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        ).stdout
        for words in ([str(ROOT / "cli.py")], ["-m", "regengine"])
    ]
    assert told[0] == told[1] == run("--version").out
    assert re.fullmatch(r"regengine \d+\.\d+\.\d+\S*\n", told[0])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["regster"], "Did you mean 'register'"),
        (["register", PHOTO, "--light", LIGHTS], "--lights"),
        (["register", PHOTO, "--max-seconds", "soon"], "--max-seconds"),
        (["register", PHOTO, "--max-seconds", "-1"], "0.1"),
        (["register", PHOTO, "--decoys"], "--decoys"),
        (["tle", "inf"], "info"),
        (["register"], "Usage"),
        (["tle"], "Usage"),
        ([], "Usage"),
    ],
)
def test_wrong_usage_exits_with_2_and_shows_the_way(
    folder: Path, words: list[object], hint: str
) -> None:
    said = run(*words)
    assert said.code == 2
    assert hint in said.out + said.err
    assert not list(folder.iterdir())


def setting(*words: object, option: str = "max-seconds") -> tuple[object, str]:
    """A setting of register, and where it came from."""
    rows = run("config", "show", *words).out.splitlines()
    (row,) = (one for one in map(json.loads, rows) if one["option"] == option)
    return row["value"], row["source"]


def test_option_beats_variable_beats_folder_beats_home_beats_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = ("--json", "register")
    assert setting(*show) == (240.0, "default")
    home = folder.parent / "home" / "regengine" / "regengine.toml"
    home.write_text('[register]\nmax-seconds = 60\nlights = "~/l.tif"\n')
    assert setting(*show) == (60.0, str(home))
    assert setting(*show, option="lights")[0] == [str(Path("~/l.tif").expanduser())]
    own = folder / "regengine.toml"
    own.write_text("[register]\nmax-seconds = 30\n")
    assert setting(*show) == (30.0, str(own))
    monkeypatch.setenv("REGENGINE_REGISTER_MAX_SECONDS", "40")
    assert setting(*show) == (40.0, "environment REGENGINE_REGISTER_MAX_SECONDS")
    assert setting(*show, "--max-seconds", "50") == (50.0, "option")
    assert "register --max-seconds" in run("config", "show", "register").out
    (folder / "mine.toml").write_text("[register]\nworkers = 3\n")
    monkeypatch.setenv("REGENGINE_CONFIG", "mine.toml")
    monkeypatch.delenv("REGENGINE_REGISTER_MAX_SECONDS")
    assert setting(*show) == (240.0, "default")  # a named file stands instead of the others
    assert setting(*show, option="workers") == (3, "mine.toml")
    monkeypatch.setenv("REGENGINE_REGISTER_MAX_SECONDS", "soon")
    said = run("register", PHOTO)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Error: environment variable REGENGINE_REGISTER_MAX_SECONDS")
    said = run("--config", "absent.toml", "register", PHOTO)
    assert said.code == 2
    assert "absent.toml: the settings file cannot be read" in said.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[register]\nmax-second = 3\n", ["[register]", "max-second", "mean max-seconds"]),
        ("[regster]\n", ["regster", "did you mean register"]),
        ("[tle.inf]\n", ["[tle]", "inf", "did you mean info"]),
        ("register = 3\n", ["register must be a table", "[register]"]),
        ("[register\n", ["not valid TOML"]),
        ("[register]\nmax-seconds = 'soon'\n", ["[register] max-seconds", "soon"]),
        ("[register]\nmax-seconds = -1\n", ["[register] max-seconds", "-1"]),
    ],
)
def test_a_mistake_in_a_settings_file_is_named_with_the_file(
    folder: Path, content: str, words: list[str]
) -> None:
    (folder / "regengine.toml").write_text(content)
    said = run("tle", "info", ELEMENTS) if "tle" in content else run("register", PHOTO)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"Error: {folder / 'regengine.toml'}")
    assert [word for word in words if word not in said.err] == []


@pytest.mark.parametrize(
    "words", [("merge", "a.h5"), ("classify", PHOTO), ("train", "labels.csv"), ("report", "a.h5")]
)
def test_what_is_no_text_does_not_go_to_standard_output(
    folder: Path, words: tuple[object, ...]
) -> None:
    said = run(*words, "-o", "-")
    assert (said.code, said.out) == (2, "")
    assert f"--out -: regengine {words[0]} cannot write to standard output" in said.err
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere"], 3, "nowhere: no photo found"),
        (["*.nef", "x", "y", "w"], 3, "*.nef, x, y and others: no photo found"),
        ([PHOTO, "--nadir", "12"], 2, "--nadir '12' is not a valid LON,LAT"),
        ([PHOTO, "--nadir", "12,95"], 2, "--nadir must be longitude"),
        ([PHOTO, "--nadir", "48,80"], 2, "--nadir 48,80 is a place that the station never flies"),
        ([PHOTO, "--centre", "0,90"], 2, "--centre 0,90 is a place that the station never sees"),
        ([PHOTO, "--time", "yesterday"], 2, "'yesterday' is not a valid time"),
        ([PHOTO, "--metadata", "gone.csv"], 2, "gone.csv cannot be read"),
        ([PHOTO, "--retry", "good"], 2, "--retry 'good' is not a verdict"),
        (["@gone"], 2, "gone cannot be read as a list"),
        ([PHOTO, "--scheduler", "127.0.0.1"], 2, "is not a valid address"),
        *(
            ([PHOTO, "--shard", share], 2, f"--shard '{share}'")
            for share in ("0/3", "4/3", "a/3", "1/0", "2")
        ),
        ([PHOTO, "--mission", "STS-60"], 2, "is not a mission"),
        ([PHOTO, "--blind", "never", "--mission", "ISS030"], 2, "--mission needs --blind"),
        ([PHOTO, "--bbox", "1,2,3", "--blind"], 2, "--bbox 1,2,3 is not a valid region"),
        ([PHOTO, "--tle", "gone.txt"], 3, "gone.txt"),
        ([PHOTO, "--lights", "gone.tif"], 3, "gone.tif"),
        ([PHOTO, "--store", "."], 3, "is a folder"),
        ([PHOTO, "--store", "text"], 3, "text is not a regengine store"),
        ([PHOTO, "--store", "text/run.h5"], 3, "cannot be written"),
    ],
)
def test_a_run_that_cannot_start_is_one_sentence_and_leaves_nothing(
    folder: Path, words: list[object], code: int, sentence: str
) -> None:
    (folder / "text").write_text("text")
    said = run("register", "--lights", LIGHTS, "--workers", 0, *words)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert sentence in said.err
    assert [path.name for path in folder.iterdir()] == ["text"]
    assert (folder / "text").read_text() == "text"


OF_FILES = (
    ("show",),
    ("verify",),
    ("report", "--json"),
    ("review", "--no-browser"),
    ("export", "--format", "csv", "--out", "out.csv"),
    ("radiometry", "--lights", LIGHTS, "--out", "out"),
    ("merge", "--out", "out.h5"),
    ("tle", "info"),
    ("lights", "info"),
    ("lights", "build", "--out", "out.tif"),
)


OF_PHOTOS = (
    ("register", "--lights", LIGHTS),
    ("classify",),
    ("detect", "lights"),
    ("solve",),
    ("lens", "fit", "--out", "out.toml"),
)


@pytest.mark.parametrize(
    "command", [*OF_FILES, *OF_PHOTOS], ids=lambda words: " ".join(map(str, words[:2]))
)
def test_what_is_missing_or_no_such_file_is_one_sentence_and_3(
    folder: Path, command: tuple[object, ...]
) -> None:
    for content in (None, "text") if command in OF_FILES else (None,):
        if content is not None:
            Path("given.h5").write_text(content)
        said = run(*command, "given.h5")
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
        assert said.err.startswith("Error: ")
        assert "given.h5" in said.err
        assert not list(folder.glob("out*"))


def test_debug_shows_the_traceback_wherever_it_stands(folder: Path) -> None:
    for words in (["--debug", "show", "gone.h5"], ["show", "gone.h5", "--debug"]):
        said = run(*words)
        assert said.code == 3
        assert "Traceback" in said.err
        assert said.err.splitlines()[-1].startswith("Error: gone.h5")
    assert "Traceback" not in run("show", "--", "--debug").err  # a file of that name


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("ImportError('libGL.so.1: cannot open shared object file')", "contrib-python-headless"),
        ("TypeError('first line\\nsecond line')", "TypeError: first line second line"),
        ("TypeError(os.environ['OMP_NUM_THREADS'])", "TypeError: 1)"),  # digits depend on it
    ],
)
def test_a_fault_of_a_library_is_one_sentence(folder: Path, raised: str, told: str) -> None:
    (folder / "cv2.py").write_text(f"import os\nraise {raised}\n")
    path = os.pathsep.join([str(folder), str(ROOT)])
    said = start("detect", "lights", PHOTO, "--workers", 0, environment={"PYTHONPATH": path})
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith("Error: ")
    assert told in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("words", "is_shown"), [((), False), (("-W", "always"), True)])
def test_a_warning_of_a_library_reaches_no_user_unless_asked_for(
    folder: Path, words: tuple[str, ...], is_shown: bool
) -> None:
    """Neither of this process nor of those that it starts."""
    warns = "import warnings; warnings.warn('Mean of empty slice', RuntimeWarning)"
    text = (
        "import atexit, subprocess, sys, warnings\n"
        "from regengine.__main__ import run\n"
        "sys.argv = ['regengine', '--version']\n"
        f"atexit.register(subprocess.run, [sys.executable, '-c', {warns!r}])\n"
        "atexit.register(warnings.warn, 'Mean of empty slice', RuntimeWarning)\n"
        "run()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, *words, "-c", text],
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert ("Mean of empty slice" in done.stderr) == is_shown
    assert is_shown or done.stderr == ""


def doctor(*words: object) -> tuple[int, dict[str, dict[str, str]]]:
    said = run("doctor", "--json", *words)
    return said.code, {one["what"]: one for one in json.loads(said.out)}


def test_doctor_says_what_is_there_and_the_command_that_brings_what_is_missing(
    folder: Path,
) -> None:
    code, found = doctor()
    assert code == 0
    assert all(one["ok"] for one in found.values())
    for what in ("lights", "day", "index", "element sets"):
        assert "(packaged)" in found[what]["found"]
    assert "regengine streets get" in found["streets"]["fix"]
    data = folder.parent / "data"
    assert not data.exists()
    for kind, file in (("lights", LIGHTS), ("tle", ELEMENTS)):
        (data / kind).mkdir(parents=True)
        shutil.copy(file, data / kind)
    code, found = doctor()
    assert code == 0
    assert str(data / "lights" / "lights.tif") in found["lights"]["found"]
    assert "(packaged)" in found["lights"]["found"]  # where the other ends
    assert str(data / "tle") in found["element sets"]["found"]
    own = data / "lights" / "lights.tif"
    said = run("doctor", "--lights", own)
    marks = {line[4:16].strip(): line[:2] for line in said.out.splitlines()}
    assert (marks["lights"], marks["index"]) == ("ok", "--")
    own.with_name(f"{own.name}.idx").write_text("damaged")
    code, found = doctor("--lights", own)
    assert code == 1
    assert "make it again with regengine lights index" in found["index"]["fix"]


def test_lines_of_a_file_are_taken_up_unless_photo_or_settings_are_others(folder: Path) -> None:
    for name in "ab":
        save(night(), folder / f"{name}.png")
    Path("c.jpg").write_bytes(b"no photo")
    words = ("detect", "lights", ".", "--out", "out.ndjson", "--workers", 0)
    first = run(*words, "--json")
    assert first.code == 1
    kept = [json.loads(line) for line in Path("out.ndjson").read_text().splitlines()]
    assert [one["frame"] for one in kept] == ["a", "b", "c"]
    assert (kept[:2], kept[2]["failed"]["code"]) == (first.records, "unreadable")
    save(night(2), folder / "d.png")
    again = run(*words)
    assert (again.code, "4 photos (3 were already there)" in again.err) == (1, True)
    assert {line.split(",")[0] for line in again.out.splitlines()} == {"frame", "d"}
    Path("c.jpg").unlink()
    assert "(3 were already there)" in run(*words, "--overlay", "drawn").err  # changes no line
    assert "were there" not in run(*words, "--max-side-px", 200).err
    changed = [json.loads(line) for line in Path("out.ndjson").read_text().splitlines()]
    assert sorted(one["frame"] for one in changed) == ["a", "b", "c", "d"]
    assert [one["frame"] for one in changed if one in kept] == ["c"]  # which is not there any more


@pytest.mark.parametrize("command", [("detect", "stars"), ("classify",), ("solve",)])
def test_a_file_that_the_command_has_not_written_is_left_alone(
    folder: Path, command: tuple[str, ...]
) -> None:
    Path("notes.jsonl").write_text("remember the milk")
    said = run(*command, PHOTO, "--out", "notes.jsonl")
    assert said.code == 3
    assert "was not written by" in said.err
    assert Path("notes.jsonl").read_text() == "remember the milk"


# Prints by Python, in C and in a process of its own, whenever a picture is opened
TALKATIVE = """
import logging, os, subprocess, sys
from PIL import Image

opened = Image.open

def announced(*given, **options):
    print("INFO: printed")
    os.write(1, b"INFO: written\\n")
    logging.StreamHandler(sys.stdout).emit(logging.makeLogRecord({"msg": "INFO: logged"}))
    subprocess.run(["echo", "INFO: echoed"])
    return opened(*given, **options)

Image.open = announced
"""


@pytest.mark.parametrize(
    "words",
    [
        ("detect", "lights", "a.png", "--json", "--workers", 0),
        pytest.param(
            ("detect", "lights", "a.png", "b.png", "--json", "--workers", 2),
            marks=pytest.mark.nightly,
        ),
        pytest.param(("classify", "a.png", "--features"), marks=pytest.mark.nightly),
        pytest.param(
            (
                *("register", "a.png", "--lights", LIGHTS, "--blind", "never", "--json"),
                *("--workers", 0, "--store", "r.h5"),
            ),
            marks=pytest.mark.nightly,
        ),
    ],
    ids=["here", "workers", "classify", "register"],
)
def test_nothing_but_records_is_on_standard_output(folder: Path, words: tuple[object, ...]) -> None:
    for name in ("a.png", "b.png"):
        save(night(), folder / name)
    (folder / "sitecustomize.py").write_text(TALKATIVE)
    path = os.pathsep.join([str(folder), str(ROOT)])
    said = start(*words, environment={"PYTHONPATH": path})
    assert {one["frame"] for one in said.records} == {
        Path(str(w)).stem for w in words if ".png" in str(w)
    }
    for how in ("printed", "written", "logged", "echoed"):
        assert f"INFO: {how}" in said.err


@pytest.mark.parametrize(
    "command",
    [
        ("detect", "lights"),
        ("classify",),
        ("solve",),
        ("satellites", "--tle", ROOT / "data_samples" / "tle.txt"),
    ],
    ids=lambda words: words[0],
)
def test_a_file_of_records_is_not_called_a_table(folder: Path, command: tuple[object, ...]) -> None:
    said = run(*command, PHOTO, "--out", "lights.csv")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "ends in .ndjson or .jsonl" in said.err
    assert not Path("lights.csv").exists()


# Interrupted when a module is first asked for
INTERRUPTED = """
import os, runpy, signal, sys

wanted, *sys.argv = sys.argv[1:]

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == wanted and sys.meta_path[0] is self:
            del sys.meta_path[0]
            os.kill(os.getpid(), signal.SIGINT)

# Tests that run in the background have it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("module", ["typer", "numpy"])
def test_an_interrupt_while_the_program_begins_leaves_no_traceback(
    folder: Path, module: str
) -> None:
    words = ["register", PHOTO, "--lights", LIGHTS, "--tle", ELEMENTS, "--workers", 0]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, str(ROOT / "cli.py"), *map(str, words)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (130, -signal.SIGINT), done.stderr  # a shell tells both as 130
    assert "Traceback" not in done.stderr
    assert not list(folder.iterdir())


# ---- what is kept in files


BASELINES = Path(__file__).parents[1] / "use" / "baselines"


# Names are those of commands in words, and of the program itself
KEPT = sorted(path.stem for path in (BASELINES / "help").glob("*.txt"))


def assert_kept(name: str, text: str) -> None:
    """A text equals the one that is kept in a file of this name."""
    path = BASELINES / name
    if os.environ.get("REGENGINE_KEEP_BASELINES") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def read_help(*command: str) -> str:
    said = run(*command, "--help")
    assert said.code == 0
    return said.out


def list_commands(*above: str) -> list[tuple[str, ...]]:
    """Commands that the help names, with those of groups, each in words."""
    named = read_help(*above).partition("\nCommands:\n")[2]
    found = re.findall(r"^  ([a-z]\S*)  ", named, re.MULTILINE)
    return [above, *(words for name in found for words in list_commands(*above, name))]


@pytest.mark.parametrize("name", KEPT)
def test_help_says_what_it_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    command = [] if name == "regengine" else name.split("-")
    assert_kept(f"help/{name}.txt", read_help(*command))


def test_the_help_of_every_command_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = {"-".join(words) or "regengine": words for words in list_commands()}
    for name in commands.keys() - set(KEPT):
        assert_kept(f"help/{name}.txt", read_help(*commands[name]))
    assert set(KEPT) <= commands.keys()


def without_path(known: dict[str, Any]) -> dict[str, Any]:
    """Where a file lies is no part of a run's settings."""
    return {name: value for name, value in known.items() if name != "path"}


def test_a_run_depends_on_the_settings_that_it_depended_on(simulated: Path) -> None:
    """What a store compares to tell whether its results hold: other settings do photos again."""
    with h5py.File(simulated / "run.h5") as store:
        group = store["provenance"]
        texts = {group["parameters"].asstr()[k] for k in range(len(group["parameters"]))}
        hashes = set(group["parameters_sha256"].asstr()[:])
    (text,), (sha256,) = texts, hashes
    assert len(sha256) == 64
    kept = {"sha256": sha256, "settings": json.loads(text, object_hook=without_path)}
    assert_kept("settings.json", json.dumps(kept, indent=1, sort_keys=True) + "\n")
