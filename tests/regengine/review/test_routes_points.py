"""Points go to files of other programs and come back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.regengine.review.made_review import Browser

FRAME = 3


def points_of(client: Browser) -> tuple[list[dict[str, Any]], Any]:
    told = client.get(f"/api/frames/{FRAME}").json()
    return told["points"], told["camera"]


@pytest.mark.parametrize("kind", ["points", "csv"])
def test_points_come_back_out_of_a_file(client: Browser, kind: str) -> None:
    points, camera = points_of(client)
    written = client.post(
        f"/api/frames/{FRAME}/points/{kind}", {"points": points, "camera": camera}
    ).json()
    assert written["name"] == f"ISS990-E-000104.{kind}"
    read = client.post(f"/api/frames/{FRAME}/points", written).json()["points"]
    assert len(read) == len(points)
    for one, other in zip(read, points, strict=True):
        assert one["origin"] == "person"
        for name in ("x", "y", "lon", "lat"):
            assert one[name] == pytest.approx(other[name], abs=1e-6)


def test_of_a_table_of_many_photos_the_frames_own_are_taken(client: Browser) -> None:
    text = "frame,x,y,lon,lat\nother,1,2,3,4\nISS990-E-000104,5,6,7,8\n"
    sent = {"name": "all.csv", "text": text}
    (point,) = client.post(f"/api/frames/{FRAME}/points", sent).json()["points"]
    assert (point["x"], point["lat"]) == (5, 8)
    refused = client.post("/api/frames/1/points", sent)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "all.csv has points of 2 photos, and none of this one."


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.points", "", "has no point that is enabled"),
        ("a.csv", "x,y\n1,2\n", "it has no column lon"),
        ("../../a.tif", "II*", "is no file of points"),
        ("a.csv", "frame,x,y,lon,lat\na,1,2,900,4\n", "no place on Earth"),
    ],
)
def test_a_file_that_holds_no_points_is_told_why(
    client: Browser, name: str, text: str, why: str
) -> None:
    refused = client.post(f"/api/frames/{FRAME}/points", {"name": name, "text": text})
    assert refused.status_code == 422
    assert why in refused.json()["detail"]
    assert "/tmp" not in refused.json()["detail"]
