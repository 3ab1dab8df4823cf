from __future__ import annotations

import numpy as np
import pytest

from regengine.errors import ConfigError
from regengine.evaluate.detections import read_light_labels


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_photos_in_order_with_all_columns(tmp_path):
    path = written(
        tmp_path,
        "radius_px,path,x,y,note,flux\n"
        "2.5,b.jpg,10.25,20,harbour,100\n"
        ",a.jpg,1,2,,\n"
        "4,b.jpg,30,40,,50\n",
    )
    second, first = read_light_labels(path)
    assert second.path == tmp_path / "b.jpg"
    assert second.x.tolist() == [10.25, 30.0]
    assert second.y.tolist() == [20.0, 40.0]
    assert second.flux.tolist() == [100.0, 50.0]
    assert second.radius_px.tolist() == [2.5, 4.0]
    assert first.path == tmp_path / "a.jpg"
    assert np.isnan([first.flux[0], first.radius_px[0]]).all()


def test_a_photo_without_lights(tmp_path):
    (photo,) = read_light_labels(written(tmp_path, "path,x,y\nsea.jpg,,\n"))
    assert photo.x.size == photo.flux.size == 0


def test_short_rows_bom_and_windows_line_ends(tmp_path):
    path = written(tmp_path, "path,x,y,flux\r\na.jpg,1,2\r\n", "utf-8-sig")
    (photo,) = read_light_labels(path)
    assert photo.x.tolist() == [1.0]


def test_absolute_paths_stay(tmp_path):
    photo = tmp_path / "elsewhere" / "a.jpg"
    assert read_light_labels(written(tmp_path, f"path,x,y\n{photo},1,2\n"))[0].path == photo


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks the column path, x, y"),
        ("path,x\na.jpg,1\n", "lacks the column y"),
        ("path,x,y\n", "labels no photo"),
        ("path,x,y\na.jpg,1,two\n", "line 2.*write a number"),
        ("path,x,y\na.jpg,1,2\na.jpg,1,\n", "line 3: a light needs both x and y"),
        ("path,x,y\na.jpg,nan,2\n", "line 2: a light needs both"),
        ("path,x,y\n,1,2\n", "line 2: the path is empty"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, says):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_light_labels(path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_light_labels(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_light_labels(written(tmp_path, "path,x,y\nä,1,2\n", "latin-1"))
