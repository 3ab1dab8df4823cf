"""The program as a whole: its help, settings, errors and exit codes, whatever the command."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest

import regengine
from tests.conftest import ROOT
from tests.world.program import run, start
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.skies import night, save

# Texts that are kept in files: REGENGINE_KEEP_BASELINES=1 writes them anew
BASELINES = Path(__file__).with_name("baselines")
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


def assert_kept(name: str, text: str) -> None:
    path = BASELINES / name
    if os.environ.get("REGENGINE_KEEP_BASELINES") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def list_commands(*above: str) -> list[tuple[str, ...]]:
    """Commands that the help names, with those of groups, each as the words that call it."""
    named = run(*above, "--help").out.partition("\nCommands:\n")[2]
    found = re.findall(r"^  ([a-z]\S*)  ", named, re.MULTILINE)
    return [above, *(words for name in found for words in list_commands(*above, name))]


def test_every_command_has_a_help_with_an_example_that_says_what_it_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = list_commands()
    for words in commands:
        said = run(*words, "--help")
        assert (said.code, said.err) == (0, "")
        assert_kept(f"help/{'-'.join(words) or 'regengine'}.txt", said.out)
        if not any(other[:-1] == words for other in commands):
            assert f"regengine {' '.join(words)}" in said.out.partition("Example")[2], words
    assert len(commands) == len(list((BASELINES / "help").iterdir()))


def test_a_run_depends_on_the_settings_that_it_depended_on(simulated: Path) -> None:
    """What a store compares to tell whether its results hold: other settings do photos again."""
    with h5py.File(simulated / "run.h5") as store:
        texts = set(store["provenance/parameters"].asstr()[:])
        hashes = set(store["provenance/parameters_sha256"].asstr()[:])
    (text,), (sha256,) = texts, hashes

    def without_path(known: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in known.items() if name != "path"}

    kept = {"sha256": sha256, "settings": json.loads(text, object_hook=without_path)}
    assert_kept("settings.json", json.dumps(kept, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_settings_are_read_in_any_encoding_of_windows(folder: Path, encoding: str) -> None:
    Path("regengine.toml").write_bytes("# ä\r\n[register]\r\nmax-seconds = 31".encode(encoding))
    assert setting("--json", "register")[0] == 31
    Path("regengine.toml").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = run("config", "show", "register")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "regengine.toml: the settings file is not valid TOML (it is not text" in said.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["regster"], "Did you mean 'register'"),
        (["register", PHOTO, "--light", LIGHTS], "--lights"),
        (["register", PHOTO, "--max-seconds", "-1"], "0.1"),
        (["tle", "inf"], "info"),
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
    of_one = map(json.loads, run("config", "show", "--json", "catalogue", "build").out.splitlines())
    assert {one["command"] for one in of_one} == {"catalogue build"}
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
        ("[register\n", ["not valid TOML"]),
        ("[register]\nmax-seconds = -1\n", ["[register] max-seconds", "-1"]),
    ],
)
def test_a_mistake_in_a_settings_file_is_named_with_the_file(
    folder: Path, content: str, words: list[str]
) -> None:
    (folder / "regengine.toml").write_text(content)
    said = run("register", PHOTO)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"Error: {folder / 'regengine.toml'}")
    assert [word for word in words if word not in said.err] == []


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere"], 3, "nowhere does not exist: name image files"),
        ([".", "x*.jpg"], 3, ". has no photo in it; x*.jpg matches no photo: name"),
        ([PHOTO, "--nadir", "12,95"], 2, "--nadir must be longitude"),
        ([PHOTO, "--nadir", "48,80"], 2, "--nadir 48,80 is a place that the station never flies"),
        ([PHOTO, "--metadata", "gone.csv"], 2, "gone.csv cannot be read"),
        ([PHOTO, "--retry", "good"], 2, "--retry 'good' is unknown: choose from"),
        ([PHOTO, "--scheduler", "127.0.0.1"], 2, "is not a valid address"),
        ([PHOTO, "--shard", "4/3"], 2, "--shard '4/3'"),
        ([PHOTO, "--mission", "STS-60"], 2, "is not a mission"),
        ([PHOTO, "--tle", "gone.txt"], 3, "gone.txt"),
        ([PHOTO, "--store", "text"], 3, "text is not a regengine store"),
        ([PHOTO, "--store", "text/run.h5"], 3, "cannot be written"),
        ([PHOTO, "--overlay", "text/drawn"], 3, "text/drawn cannot be written"),
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
    ("export", "--format", "csv", "--out", "out.csv"),
    ("radiometry", "--lights", LIGHTS, "--out", "out"),
    ("merge", "--out", "out.h5"),
    ("maps", "build", "--out", "out.tif"),
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


WRITERS = (
    "detect lights PHOTO --overlay text/out",
    "solve PHOTO --overlay text/out",
    "solve PHOTO --wcs text/out",
    "satellites PHOTO --tle TLE --overlay text/out",
    "overlay STORE --out text/out",
    "export STORE --format gcp --out text",
    "export STORE --format qgis --out text/out",
    "export STORE --format csv --out text/out.csv",
    "report STORE --out gone/out.html",
    "radiometry STORE --lights LIGHTS --out text",
    "catalogue build STORE --out gone/out.gpkg",
    "catalogue package out.gpkg --place Paris --out text/out",
    "merge STORE --out text/out.h5",
    "classify PHOTO --sheet gone/out.html",
    "classify --fit . --labels gone/out.csv",
    "train labels.csv --out gone/out.json",
    "lens fit PHOTO --camera X --lens Y --out gone/out.toml",
    "bench stars labels.csv --plot text/out",
    "archive fetch ISS030-E-184140 --out text/out",
    "maps build LIGHTS --out text/out.tif",
    "maps index LIGHTS --out gone/out.idx",
)


@pytest.mark.parametrize("words", WRITERS)
def test_output_that_cannot_be_written_is_refused_with_3_before_the_work(
    folder: Path, store: Path, words: str
) -> None:
    (folder / "text").write_text("text")
    for name, path in (("PHOTO", PHOTO), ("STORE", store), ("TLE", ELEMENTS), ("LIGHTS", LIGHTS)):
        words = words.replace(name, str(path))
    said = run(*words.split())
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert "cannot be written" in said.err
    assert words.split()[-1] in said.err
    assert [path.name for path in folder.iterdir()] == ["text"]


@pytest.mark.parametrize("words", [("--help",), ("register", "--help"), ("config", "show")])
def test_standard_output_that_is_full_is_one_sentence_and_3(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        said = start(*words, stdout=full)
    assert (said.code, said.err.count("\n")) == (3, 1)
    assert "standard output cannot be written because the disk is full" in said.err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252:strict"])
def test_what_standard_output_cannot_encode_is_escaped(folder: Path, encoding: str) -> None:
    names = ["Tōkyō", "b", "é 🌃"]
    for name in names:
        save(night(), folder / f"{name}.png")
    (folder / "c.jpg").write_bytes(b"no photo")
    codec = {"PYTHONIOENCODING": encoding}, encoding.partition(":")[0]
    words = ("register", ".", "--lights", LIGHTS, "--blind", "never", "--workers", 0)
    told = start(*words, environment=codec[0], encoding=codec[1])
    assert (told.code, "unexpected" in told.err) == (1, False)
    assert len(told.out.splitlines()) == 1 + 4
    assert "T\\u014dky\\u014d" in told.out
    shown = start("show", "run.h5", "--json", environment=codec[0], encoding=codec[1])
    assert {*names} < {one["frame"] for one in shown.records}


def test_debug_shows_the_traceback_wherever_it_stands(folder: Path) -> None:
    for words in (["--debug", "show", "gone.h5"], ["show", "gone.h5", "--debug"]):
        said = run(*words)
        assert said.code == 3
        assert "Traceback" in said.err
        assert said.err.splitlines()[-1].startswith("Error: gone.h5")
    assert "Traceback" not in run("show", "--", "--debug").err  # a file of that name


def doctor(*words: object) -> tuple[int, dict[str, dict[str, str]]]:
    said = run("doctor", "--json", *words)
    return said.code, {one["what"]: one for one in json.loads(said.out)}


def test_doctor_says_what_is_there_and_the_command_that_brings_what_is_missing(
    folder: Path,
) -> None:
    code, found = doctor()
    assert code == 0
    assert all(one["ok"] for one in found.values())
    for what in ("lights", "day", "index", "element sets", "photo"):
        assert "(packaged)" in found[what]["found"]
    assert "regengine maps get PLACE --kind streets" in found["streets"]["fix"]
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


def test_doctor_names_what_failed_where_its_photo_is_not_placed_as_it_should_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = regengine.register(SAMPLES / "photos" / "ISS030-E-184140.jpg")
    doubted = replace(placed.result, verdict="review")
    wrong = TypeError("no such type")
    for answer in (placed, replace(placed, result=doubted), wrong, ImportError("no", name="cv2")):

        def answering(photo: Path, answer: Any = answer) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr("regengine.api.register", answering)
        code, found = doctor()
        assert code == 1
        assert [what for what, one in found.items() if not one["ok"]] == ["photo"]
        named = str(answer) if isinstance(answer, Exception) else "is not placed where it was taken"
        assert named in found["photo"]["fix"]


@pytest.mark.parametrize(
    ("module", "raised", "told"),
    [
        (
            "cv2",
            "ImportError('numpy.core.multiarray failed to import')",
            r"needs opencv-contrib-python\S* [\d.]+, which cannot be loaded "
            r"\(numpy\.core\.multiarray failed to import\): install regengine again",
        ),
        (
            "cv2",
            "ImportError('libGL.so.1: cannot open shared object file', name='cv2')",
            r"install the library of the system that it lacks, or .*opencv-contrib-python-headless",
        ),
        (
            "scipy",
            "ValueError('numpy.dtype size changed, may indicate binary incompatibility')",
            r"needs scipy [\d.]+, which cannot be loaded",
        ),
        (
            "h5py",
            "ModuleNotFoundError('No module named h5py', name='h5py')",
            "needs h5py, which is not installed: install regengine again in a fresh environment",
        ),
    ],
)
def test_a_library_that_is_missing_or_cannot_be_loaded_is_one_sentence(
    folder: Path, module: str, raised: str, told: str
) -> None:
    libraries = folder.parent / "libraries"
    libraries.mkdir()
    (libraries / f"{module}.py").write_text(f"raise {raised}\n")
    environment = {"PYTHONPATH": f"{libraries}{os.pathsep}{ROOT}"}
    said = start("classify", PHOTO, environment=environment)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert re.search(told, said.err), said.err


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
    save(night() + 0.01, folder / "d.png")
    again = run(*words)
    assert (again.code, "4 photos (3 were already there)" in again.err) == (1, True)
    assert {line.split(",")[0] for line in again.out.splitlines()} == {"frame", "d"}
    Path("c.jpg").unlink()
    assert "(3 were already there)" in run(*words, "--overlay", "drawn").err  # changes no line
    assert "were there" not in run(*words, "--max-side-px", 200).err
    changed = [json.loads(line) for line in Path("out.ndjson").read_text().splitlines()]
    assert sorted(one["frame"] for one in changed) == ["a", "b", "c", "d"]
    assert [one["frame"] for one in changed if one in kept] == ["c"]  # which is not there any more


@pytest.mark.parametrize("command", [("detect", "stars"), ("classify",)])
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


def test_nothing_but_records_is_on_standard_output(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        save(night(), folder / name)
    (folder / "sitecustomize.py").write_text(TALKATIVE)
    path = os.pathsep.join([str(folder), str(ROOT)])
    words = ("detect", "lights", "a.png", "b.png", "--json", "--workers", 2)
    said = start(*words, environment={"PYTHONPATH": path})
    assert {one["frame"] for one in said.records} == {"a", "b"}
    for how in ("printed", "written", "logged", "echoed"):
        assert f"INFO: {how}" in said.err
