"""SERVICES: a client, what goes wrong, how often it asks, its exit code and its sentence."""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.world.faults import write_photos
from tests.world.maps import made, radiance_at, write_vnp46
from tests.world.osm import osm_pbf
from tests.world.program import Said, run
from tests.world.runs import ELEMENTS as SETS
from tests.world.runs import LIGHTS
from tests.world.services import ArchiveService, Service, TileService, night_picture
from tests.world.tables import by_name

EAST = "/7/47/68.png"
LISTING = "/VNP46A4/2020/001"
PRODUCT_FILES = [f"VNP46A4.A2020001.h{h}v05.002.20240101000{h}.h5" for h in (30, 31, 32)]
PICTURE = "/DatabaseImages/ESC/large/ISS990/ISS990-E-101.JPG"
EXTRACT = "/ile-de-france-latest.osm.pbf"
NADIR = {
    "nadir.mission": "ISS990", "nadir.roll": "E", "nadir.frame": "101", "nadir.pdate": "20140117",
    "nadir.ptime": "74602", "nadir.lat": "-35.1", "nadir.lon": 208.2,
}  # fmt: skip


# The clients -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Path:
    """An empty folder to work in, with a data folder, a cache and copies of the test's own."""
    for name in ("work", "copies"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EARTHDATA_TOKEN", "sEcret")
    monkeypatch.setenv("JSC_PHOTOS_KEY", ArchiveService.KEY)
    return tmp_path


def serve_product(service: Service) -> None:
    """Black Marble tiles of 10 degrees, and what else a listing may have."""
    assert isinstance(service, TileService)
    names = [*PRODUCT_FILES, "../../etc/passwd.h5", "VNP46A3.A2020001.h31v05.002.1.h5"]
    service.list_files(LISTING, names)
    for name in PRODUCT_FILES:
        write_vnp46(Path(name), np.full((24, 24), 0.2, np.float32))
        service.files[f"/files/{name}"] = Path(name).read_bytes()
        Path(name).unlink()


def osm_file() -> bytes:
    """An extract in OpenStreetMap's own format: a street of 1.5 km and a long track."""
    track = [(2.3 + 1e-5 * n, 48.81 + 3e-6 * (n * n % 89)) for n in range(500)]
    street = [(2.3, 48.8), (2.32, 48.8)]
    return osm_pbf([(street, {"highway": "primary"}), (track, {"highway": "track"})])


def serve_extracts(service: Service) -> None:
    """A list of two extracts, one within the other, one elsewhere, and one on another host."""
    features: list[object] = [
        {"type": "Feature", "geometry": None, "properties": {"id": "empty"}},
    ]
    for name, (west, south, east, north), address in [
        ("europe", (-10.0, 35.0, 30.0, 70.0), service.address),
        ("ile-de-france", (2.0, 48.5, 2.7, 49.2), service.address),
        ("kanto", (138.0, 34.0, 141.0, 37.0), service.address),
        ("paris", (2.1, 48.6, 2.5, 49.1), "http://localhost:1"),
    ]:
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        pbf = f"{address}/{name}-latest.osm.pbf"
        outline = {"type": "MultiPolygon", "coordinates": [[ring]]}
        properties = {"id": name, "urls": {"pbf": pbf}}
        features.append({"type": "Feature", "geometry": outline, "properties": properties})
    service.files["/index-v1.json"] = json.dumps({"features": features}).encode()
    service.files[EXTRACT] = osm_file()


def serve_archive(service: Service) -> None:
    assert isinstance(service, ArchiveService)
    service.add_frame(101, day="20250827")
    for number in (101, 102):
        service.add_picture(f"ISS990-E-{number}", night_picture())


def serve_photos(service: Service) -> None:
    for name, path in zip("abc", write_photos(Path("served"), 3), strict=True):
        service.files[f"/{name}.png"] = path.read_bytes()
        path.unlink()
    Path("served").rmdir()


GET = ("maps", "get", "--url")
TWO_TILES = ("--bbox", "11,42,12,43", "--level", 7)
REGISTER = ("register", "--lights", LIGHTS, "--blind", "never", "--workers", 0, "--json")


@dataclass(frozen=True, kw_only=True)
class Client:
    """A command that asks a service, and the path of what it asks for."""

    name: str
    path: str
    words: Callable[[Service], tuple[object, ...]]
    service: type[Service] = Service
    serve: Callable[[Service], None] = lambda service: None
    variable: str = ""  # of the environment, that has the address
    kept: str = "data"  # where what was fetched would be

    def run(self, service: Service) -> Said:
        return run(*self.words(service))


def ask_product(service: Service) -> tuple[object, ...]:
    what = ("--product", "VNP46A4", "--date", "2020", "--bbox", "139,34,141,36")
    return (*GET, service.address, *what, "-q")


def ask_extract(service: Service) -> tuple[object, ...]:
    index = service.url("/index-v1.json")  # towns by name take seconds to be read
    return (*GET, index, "--kind", "streets", "2.35,48.85", "--quiet")


TILES = Client(
    name="tiles", path=EAST, service=TileService,
    words=lambda service: (*GET, f"{service.address}/{{z}}/{{y}}/{{x}}.png", *TWO_TILES, "-q"),
)  # fmt: skip
LIST = Client(
    name="list", path=LISTING, service=TileService, serve=serve_product, words=ask_product
)
PRODUCT = Client(
    name="product", path=f"/files/{PRODUCT_FILES[1]}", service=TileService, serve=serve_product,
    words=ask_product,
)  # fmt: skip
ELEMENTS = Client(
    name="elements", path="/gp.php", words=lambda _: ("tle", "get"), variable="REGENGINE_CELESTRAK",
    serve=lambda service: service.files.update({"/gp.php": SETS.read_bytes()}),
)  # fmt: skip
INDEX = Client(name="index", path="/index-v1.json", serve=serve_extracts, words=ask_extract)
STREETS = Client(name="extract", path=EXTRACT, serve=serve_extracts, words=ask_extract)
PICTURES = Client(
    name="pictures", path=PICTURE, service=ArchiveService, serve=serve_archive,
    variable="REGENGINE_ARCHIVE", kept="work/photos",
    words=lambda _: ("archive", "fetch", "ISS990-E-101", "ISS990-E-102", "--max-megabytes", "1",
                     "--out", "photos", "--json", "-q"),
)  # fmt: skip
DATABASE = Client(
    name="database", path=ArchiveService.DATABASE, service=ArchiveService, serve=serve_archive,
    variable="REGENGINE_ARCHIVE",
    words=lambda _: ("archive", "query", "--mission", "ISS990", "--table", "nadir", "--json", "-q"),
)  # fmt: skip
URL = Client(
    name="url", path="/a.png", serve=serve_photos, kept="copies",
    words=lambda service: (*REGISTER, service.url("/a.png"), "-q"),
)  # fmt: skip


@pytest.fixture
def served(
    request: pytest.FixtureRequest, socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """The service of the row, or of the client that a test names."""
    named = request.node.callspec.params
    client = named["row"].client if "row" in named else named["client"]
    service = client.service()
    client.serve(service)
    if client.variable:
        path = client.path if client is ELEMENTS else ""
        monkeypatch.setenv(client.variable, service.url(path))
    yield service
    service.close()


# The table ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Row:
    """Faults of one path, in turn; or one that lasts."""

    client: Client
    faults: tuple[object, ...] = ()
    always: object = None
    tries: int
    code: int = 0
    sentence: str = ""

    @property
    def name(self) -> str:
        told = ",".join(map(str, self.faults)) or f"always {self.always}"
        return f"{self.client.name}: {told[:40]} -> {self.sentence[:20] or self.code}"


def passing(client: Client, *faults: object) -> Row:
    """Asked for once more than it fails; of the database, of two tables."""
    code = 3 if client is URL else 0  # nothing is known of those photos
    tries = len(faults) + (2 if client is DATABASE else 1)
    return Row(client=client, faults=faults, tries=tries, code=code)


def lasting(
    client: Client, fault: object, sentence: str, tries: int = 1, code: int | None = None
) -> Row:
    code = (1 if client in (PICTURES, URL) else 3) if code is None else code
    return Row(client=client, always=fault, tries=tries, code=code, sentence=sentence)


def answered(body: object, sentence: str, tries: int = 1) -> Row:
    """Of the database, as JSON."""
    return lasting(DATABASE, json.dumps(body).encode(), sentence, tries)


LATER = (429, {"Retry-After": "17"})
MUCH_LATER = (503, {"Retry-After": "3600"})
AWAY = "to:http://localhost:1/x"
ROWS = (
    passing(TILES, 429, "half", "long", LATER), passing(TILES, 500, 502, 503, 504),
    *(passing(one, 503, "cut") for one in (LIST, ELEMENTS, INDEX, PICTURES, DATABASE, URL)),
    passing(STREETS, "cut", "cut"), passing(PRODUCT, "half"), passing(URL, 408),
    lasting(TILES, 500, "failed with status 500 in 5 attempts", 5),
    lasting(TILES, 403, "denies access"),
    lasting(TILES, "login", "a web page instead of a picture"),
    lasting(TILES, 404, "", code=0),  # there is nothing: no data
    lasting(LIST, 404, "has no VNP46A4 of 2020 for that place"),
    lasting(LIST, 403, "get a token at urs.earthdata.nasa.gov"),
    lasting(PRODUCT, "login", "instead of an HDF5 file: the token"),
    lasting(PRODUCT, "half", "an HDF5 file arrived broken", 5),
    lasting(PRODUCT, 404, "is listed but missing"),
    lasting(ELEMENTS, 503, "cannot be reached for element sets", 3),
    lasting(ELEMENTS, b"No GP data found", "something other than element sets"),
    lasting(STREETS, "half", "damaged or truncated"),
    lasting(PICTURES, "login", "returned a web page instead of a complete picture"),
    lasting(PICTURES, "half", "returned a truncated JPEG"),
    lasting(PICTURES, b"\xff\xd8\xff" + bytes(2 << 20), "raise the limit with --max-megabytes"),
    lasting(PICTURES, MUCH_LATER, "a pause of 3600 s"),
    lasting(URL, 404, "does not exist: check the address"),
    lasting(URL, 403, "is not accessible: other credentials are needed"),
    lasting(URL, 500, "its server answers 500, 3 times", 3),
    lasting(URL, "half", "damaged or truncated"),
    lasting(URL, AWAY, "redirects to http://localhost"),
    lasting(URL, "to:file:" + "///etc/passwd", "redirects to file:" + "//nowhere"),
    lasting(URL, "to:/a.png", "redirects in circles", 11),
    lasting(DATABASE, 404, "has no photo database at that address: check REGENGINE_ARCHIVE"),
    lasting(DATABASE, AWAY, "redirects to http://localhost, which is not followed"),
    lasting(DATABASE, b"<html><title>Log\nin sEcret-0123</title>",
            "a web page instead of JSON (Log in ***)"),
    lasting(DATABASE, b"Software error: sEcret-0123", "which begins 'Software error: ***'"),
    answered({"error": "Invalid API key sEcret-0123"}, "rejects the key ('Invalid API key ***')"),
    answered({"result": "SQL error\x1b[31m near"}, "rejects the query: 'SQL error [31m near'"),
    answered([{**NADIR, "nadir.lat": [35.1]}], "a list or object in 'nadir.lat'"),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_what_goes_wrong_passes_or_is_one_sentence(row: Row, served: Service, place: Path) -> None:
    if row.faults:
        served.faults[row.client.path] = list(row.faults)
    else:
        served.always[row.client.path] = row.always
    said = row.client.run(served)
    told = said.out + said.err
    assert (said.code, served.asked[row.client.path]) == (row.code, row.tries), told
    assert row.sentence in json.dumps(told, ensure_ascii=False).replace('\\"', '"') + told
    assert ArchiveService.KEY not in told
    assert "sEcret" not in told
    if row.code == 3 and row.client is not URL:
        assert (said.out, said.err.count("\n"), len(said.err) < 400) == ("", 1, True)
        assert made(place / row.client.kept) == []
    if row.client is URL:
        (first,) = said.records
        assert served.url("/a.png") in first["reason_texts"][0]
        assert first["reasons"] == (
            ["no_ephemeris"] if row.code == 3
            else ["not_found"] if row.always == 404 else ["unreadable"]
        )  # fmt: skip
        assert made(place / "copies") == []
    if row.client is PICTURES:
        stati = [one["status"] for one in said.records]
        assert stati == ["failed" if row.code else "fetched", "fetched"]
        assert len(made(place / "work" / "photos")) == sum(one == "fetched" for one in stati) + 1
    assert not [name for name in made(place) if name.startswith(".") or name.endswith(".lock")]


@pytest.mark.parametrize("client", [STREETS], ids=by_name)
def test_what_breaks_off_goes_on_with_the_same_file_and_not_with_another(
    client: Client, served: Service, place: Path
) -> None:
    served.faults[EXTRACT] = ["cut", 403]
    assert client.run(served).code == 3
    ranges = [one.headers.get("Range") for one in served.requests if one.path == EXTRACT]
    assert ranges == [None, f"bytes={len(osm_file()) // 2}-"]
    assert made(place / "data") == []
    served.files[EXTRACT] = osm_file() + osm_file()  # made anew meanwhile: begun anew, not mixed
    served.faults[EXTRACT] = ["cut", 403]
    assert client.run(served).code == 3
    served.files[EXTRACT] = osm_file()
    assert client.run(served).code == 0
    kept = place / "cache" / "streets" / "ile-de-france.osm.pbf"
    assert kept.read_bytes() == osm_file()


@pytest.mark.parametrize("client", [PICTURES], ids=by_name)
def test_a_server_in_trouble_is_asked_again_after_growing_pauses_and_then_left_alone(
    client: Client, served: Service, pauses: list[float]
) -> None:
    served.faults["*"] = [503, "cut", "long", LATER]
    assert client.run(served).code == 0
    *growing, last = [wait for wait in pauses if wait > 1.0]  # but for those between requests
    assert all(2**tries <= wait <= 3 * 2**tries for tries, wait in enumerate(growing))
    assert len(growing) == 3
    assert 17.0 <= last <= 2.0 * 2**3 * 1.5
    served.always["*"] = 500
    many = [f"ISS990-E-{number}" for number in range(200, 250)]
    said = run("archive", "fetch", *many, "--out", "photos", "--json")
    assert len(said.records) == 3
    assert "3 pictures in a row could not be fetched" in said.err
    assert "47 not requested" in said.err


# Secrets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [PRODUCT], ids=by_name)
def test_a_product_is_got_for_a_region_and_no_stranger_sees_the_token(
    client: Client, served: Service
) -> None:
    said = client.run(served)
    assert said.code == 0, said.err
    assert set(served.asked) == {LISTING, *(f"/files/{name}" for name in PRODUCT_FILES[1:])}
    assert not [one for one in served.requests if "Authorization" in one.headers]
    (told,) = run("maps", "info", said.out.strip(), "--json").records
    assert (told["kind"], told["date"]) == ("radiance", "2020-01-01")
    assert radiance_at(Path(said.out.strip()), 140.0, 35.0) == pytest.approx(0.2, rel=1e-2)


def register(*words: object) -> Said:
    said = run(*REGISTER, *words)
    assert made(Path(tempfile.gettempdir())) == []  # copies are gone when the run is over
    return said


@pytest.mark.parametrize("client", [URL], ids=by_name)
def test_secrets_of_urls_are_nowhere_but_where_the_photo_is_fetched(
    client: Client, served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = served.url("/a.png")
    secret = bare.replace("://", "://me:pa55word@") + "?token=t0ken"
    monkeypatch.setattr(sys, "argv", ["regengine", "register", secret])
    said = [register(secret, "--debug", *form) for form in ((), ("--dry-run",))]
    assert served.requests[0].query == {"token": "t0ken"}
    sent = served.requests[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"me:pa55word"
    said.append(register("--no-resume", served.url("/gone.png?pwd=t0ken")))
    said.append(run("show", "run.h5", "a"))
    said.append(run("report", "run.h5", "--out", "report.html"))
    said.append(run("classify", secret))
    assert said[-1].code == 2
    contents = [one.out + one.err for one in said]
    contents += [path.read_bytes().decode("latin-1") for path in Path().iterdir()]
    assert len(contents) == len(said) + 2
    assert not any("pa55word" in text or "t0ken" in text for text in contents)
    with h5py.File("run.h5") as file:
        assert bare in str(file.attrs["command_line"])


@pytest.mark.parametrize("client", [URL], ids=by_name)
def test_logins_of_the_home_folder_are_for_their_host(
    client: Client, served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("logins").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(Path("logins").resolve()))
    register(served.url("/a.png"), served.url("/b.png").replace("127.0.0.1", "localhost"))
    # In whichever order they come
    other, one = sorted(served.requests, key=lambda request: "Authorization" in request.headers)
    assert one.path == "/a.png"
    sent = one.headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"me:s3cret"
    assert "Authorization" not in other.headers


# Photos by URL -----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [URL], ids=by_name)
def test_photos_by_url_and_list_are_registered_once_and_told_by_their_url(
    client: Client, served: Service, place: Path
) -> None:
    Path("list.txt").write_text(f"{served.url('/b.png')}\n{served.url('/gone.png')}\n")
    given = (served.url("/a.png"), "@list.txt", served.url("/a.png"))
    said = register(*given)
    assert said.code == 1
    nothing = ("no_match", ["no_ephemeris"])
    assert {one["path"]: (one["verdict"], one["reasons"]) for one in said.records} == {
        served.url("/a.png"): nothing,
        served.url("/b.png"): nothing,
        served.url("/gone.png"): ("failed", ["not_found"]),
    }
    assert str(place) not in said.out
    (told,) = register(served.url("/d.png"), "--dry-run").records
    assert told["would_fetch"]
    again = register(*given, served.url("/c.png"))
    assert "4 photos (2 from the store)" in again.err
    assert served.asked == {"/a.png": 1, "/b.png": 1, "/gone.png": 2, "/c.png": 1}
    register(served.url("/a.png"), "--no-resume")
    assert served.asked["/a.png"] == 2


@pytest.mark.parametrize("wrong", ["file:" + "///etc/passwd", "@nothing.txt"])
def test_what_is_no_photo_to_fetch_is_a_usage_error(wrong: str) -> None:
    said = register(wrong)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("client", [STREETS], ids=by_name)
def test_the_smallest_extract_of_a_place_is_got_and_built(
    client: Client, served: Service, place: Path
) -> None:
    get = ("maps", "get", "--kind", "streets", "--url", served.url("/index-v1.json"))
    said = run(*get, "Paris")
    out = place / "data" / "streets" / "paris.tif"
    assert (said.code, said.out) == (0, f"{out}\n"), said.err
    assert "ile-de-france-latest.osm.pbf: 0.0 MB, into" in said.err
    assert sorted(served.asked) == [EXTRACT, "/index-v1.json"]
    (told,) = run("maps", "info", "--kind", "streets", out, "--json").records
    assert told["product"] == "OpenStreetMap roads (ile-de-france)"
    assert told["bounds"][0] < 2.3 < 2.32 < told["bounds"][2]
    assert run(*get, "--bbox", "2.2,48.7,2.4,48.9", "--quiet").code == 0
    assert served.asked[EXTRACT] == 1  # what is in the cache is not got again
    for words, code, sentence in [
        (("Nowhereville-on-Sea",), 2, "No town named"),
        (("0,-60",), 3, "No extract of 127.0.0.1 covers"),
    ]:
        said = run(*get, *words, "--quiet")
        assert (said.code, said.err.count("\n")) == (code, 1), said
        assert sentence in said.err
