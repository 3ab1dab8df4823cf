"""Points files of the QGIS georeferencer, by the rules of its own reader."""

from __future__ import annotations

from pathlib import Path

from regengine.importing.point_file import (
    ForeignPoint,
    PhotoPoints,
    checked,
    read_text,
    refused,
    to_lonlat,
)

CRS_MARK = "#CRS: "


def read_qgis_points(path: Path) -> list[PhotoPoints]:
    """Points that are enabled, of the photo after which the file is named.

    Parameters
    ----------
    path : Path
        ``PHOTO.points``; of QGIS 2 and 3, with or without the CRS, which is WGS84 without.

    Returns
    -------
    list of PhotoPoints
        One.

    Raises
    ------
    ConfigError
        If it is no such file, or was made on a picture that has a place already.
    """
    lines = read_text(path).splitlines()
    crs = ""
    if lines and CRS_MARK in lines[0]:
        crs = lines.pop(0).replace(CRS_MARK, "").strip()
    rows = []
    for line in lines[1:]:
        cells = line.split("," if "," in line else "\t")
        try:
            numbers = [float(cell) for cell in cells[:4]]
            enabled = len(cells) < 5 or int(float(cells[4])) != 0
        except ValueError as error:
            raise refused(path, f"the line {line[:60]!r} is no point") from error
        if len(numbers) < 4:
            raise refused(path, f"the line {line[:60]!r} has fewer than four numbers")
        if enabled:
            rows.append(numbers)
    if not rows:
        raise refused(path, "it has no point that is enabled")
    if all(row[3] > 0.0 for row in rows):
        # Rows count downwards as negative numbers: only a picture with a place has others
        raise refused(path, "its points are on a picture that had a place on the map already")
    lon, lat = to_lonlat(path, crs, [row[0] for row in rows], [row[1] for row in rows])
    points = (
        ForeignPoint(x=row[2] - 0.5, y=-row[3] - 0.5, lon=a, lat=b)
        for row, a, b in zip(rows, lon, lat, strict=True)
    )
    photo = path.name.removesuffix(path.suffix)
    return [PhotoPoints(file=path, photo=photo, points=checked(path, points))]
