"""The frames of the store that the tests of the page share: each test decides its own."""

from __future__ import annotations

from tests.regengine.review.sample import FAR

RIGHT, WRONG, OBLIQUE = "ISS990-E-000104", "ISS990-E-000103", "ISS990-E-000106"
UNPLACED = "ISS990-E-000105"  # EXIF orientation 8, turned by 107 degrees
AGAIN = {WRONG: "ISS990-E-000203", OBLIQUE: "ISS990-E-000206"}
TABS, PEOPLE = "ISS990-E-000204", "ISS990-E-000304"
LATE, LATER = "ISS990-E-000404", "ISS990-E-000406"  # one after the other by name
CLICKED = "ISS990-E-000504"
WICKED = "<img src=x onerror=document.title='run'>"
MARKUP = "\"><script>document.title='run'<\u2215script>"
WICKED_NAMES = (
    WICKED,
    MARKUP,
    "\u202egpj.exe",
    "');document.title='run';('",
    "..%2f..%2fetc%2fpasswd #?&",
)
FRAMES = (
    *((name, name) for name in (RIGHT, WRONG, OBLIQUE, UNPLACED)),
    *AGAIN.items(),
    *((RIGHT, name) for name in (TABS, PEOPLE)),
    *(("ISS990-E-000101", name) for name in WICKED_NAMES),
    (RIGHT, LATE),
    (OBLIQUE, LATER),
    (WRONG, FAR),
    (RIGHT, CLICKED),
)
IDS = {name: index for index, (_, name) in enumerate(FRAMES)}
