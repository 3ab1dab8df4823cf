"""Projection formulas of lens, camera and ellipsoid, for scalars and arrays.

Coordinates are numbers or arrays that broadcast. A ``lens`` is a sequence of `LENS` numbers and a
``camera`` one of `CAMERA` numbers, which begin with those of its lens. They are the numbers of a
`matchers.geometry.camera.Camera`, or arrays of the numbers of many cameras.

`matchers.geometry.compiled_view` compiles these functions with numba, which is not imported here.
Its cache is rebuilt when this file changes.

References
----------
Brown, D. C. (1966). Decentering distortion of lenses. Photogrammetric Engineering 32 (3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.constants import SEMI_MAJOR_M, SEMI_MINOR_M

# Indices of the numbers: width, focal length, principal point, k1 k2 p1 p2 k3, whether mirrored,
# vertical over horizontal focal length; position (ECEF, metres), rotation from the camera frame to
# ECEF by rows
WIDTH, FOCAL, PRINCIPAL, DISTORTION, MIRRORED, ASPECT, POSITION, MATRIX = 0, 1, 2, 4, 9, 10, 11, 14
LENS, CAMERA = 11, 23


def nan_unless(condition: Any, value: Any) -> Any:
    """Replace values by NaN unless a condition is true."""
    return np.where(condition, value, np.nan)


def distort(u: Any, v: Any, distortion: Any) -> Any:
    """Apply OpenCV's five-coefficient lens distortion (k1, k2, p1, p2, k3) to ideal coordinates.

    Coordinates are normalised: tangents of angles.
    """
    k1, k2, p1, p2, k3 = distortion
    r2 = u * u + v * v
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return (
        u * radial + 2.0 * p1 * u * v + p2 * (r2 + 2.0 * u * u),
        v * radial + p1 * (r2 + 2.0 * v * v) + 2.0 * p2 * u * v,
    )


def distortion_jacobian(u: Any, v: Any, distortion: Any) -> Any:
    """Derivatives of distorted by ideal coordinates: du/du, dv/dv, and du/dv = dv/du."""
    k1, k2, p1, p2, k3 = distortion
    r2 = u * u + v * v
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3))
    return (
        radial + slope * u * u + 2.0 * p1 * v + 6.0 * p2 * u,
        radial + slope * v * v + 6.0 * p1 * v + 2.0 * p2 * u,
        slope * u * v + 2.0 * p1 * u + 2.0 * p2 * v,
    )


def undistort(u: Any, v: Any, distortion: Any) -> Any:
    """Compute ideal coordinates from distorted ones by Newton's method.

    Far outside the range of the polynomial there is no solution. The result is then arbitrary, but
    within a few times the radius.
    """
    # Steps of Newton's method are at most a share of the radius (by eye)
    ideal_u, ideal_v, longest = u, v, 0.3 * np.hypot(u, v)
    for _ in range(10):
        bent_u, bent_v = distort(ideal_u, ideal_v, distortion)
        miss_u, miss_v = u - bent_u, v - bent_v
        uu, vv, uv = distortion_jacobian(ideal_u, ideal_v, distortion)
        area = uu * vv - uv * uv
        area = np.copysign(np.maximum(np.abs(area), 0.05), area)  # smaller is not physical
        step_u = np.minimum(np.maximum((vv * miss_u - uv * miss_v) / area, -longest), longest)
        step_v = np.minimum(np.maximum((uu * miss_v - uv * miss_u) / area, -longest), longest)
        ideal_u, ideal_v = ideal_u + step_u, ideal_v + step_v
        if not np.any(np.abs(step_u) + np.abs(step_v) >= 1e-13):
            break
    return ideal_u, ideal_v


def distortion_of(lens: Any) -> Any:
    """Extract k1, k2, p1, p2, k3 of a lens, and whether any of them is non-zero."""
    k1, k2, p1, p2, k3 = lens[4], lens[5], lens[6], lens[7], lens[8]
    bent = np.any(k1 * k1 + k2 * k2 + p1 * p1 + p2 * p2 + k3 * k3 > 0.0)
    return (k1, k2, p1, p2, k3), bent


def to_tangents(lens: Any, x: Any, y: Any) -> Any:
    """Convert pixels of the image as stored to ideal coordinates (camera frame, z = 1)."""
    x = x + lens[MIRRORED] * (lens[WIDTH] - 1.0 - 2.0 * x)
    u = (x - lens[PRINCIPAL]) / lens[FOCAL]
    v = (y - lens[PRINCIPAL + 1]) / (lens[FOCAL] * lens[ASPECT])
    distortion, bent = distortion_of(lens)
    if bent:
        u, v = undistort(u, v, distortion)
    return u, v


def to_image(lens: Any, x: Any, y: Any, z: Any) -> Any:
    """Project vectors of any length in the camera frame to pixels; NaN behind the camera."""
    z = nan_unless(z > 0.0, z)
    u, v = x / z, y / z
    distortion, bent = distortion_of(lens)
    if bent:
        u, v = distort(u, v, distortion)
    x = lens[PRINCIPAL] + lens[FOCAL] * u
    y = lens[PRINCIPAL + 1] + lens[FOCAL] * lens[ASPECT] * v
    return x + lens[MIRRORED] * (lens[WIDTH] - 1.0 - 2.0 * x), y


def to_local(camera: Any, x: Any, y: Any, z: Any) -> Any:
    """Transform points (ECEF, metres) to the camera frame."""
    x, y, z = x - camera[POSITION], y - camera[POSITION + 1], z - camera[POSITION + 2]
    m = MATRIX
    return (
        x * camera[m] + y * camera[m + 3] + z * camera[m + 6],
        x * camera[m + 1] + y * camera[m + 4] + z * camera[m + 7],
        x * camera[m + 2] + y * camera[m + 5] + z * camera[m + 8],
    )


def to_pixel(camera: Any, x: Any, y: Any, z: Any) -> Any:
    """Project points (ECEF, metres) to pixels, even if occluded; NaN behind the camera."""
    x, y, z = to_local(camera, x, y, z)
    return to_image(camera, x, y, z)


def to_ray(camera: Any, x: Any, y: Any) -> Any:
    """Compute ray directions of pixels in ECEF, not normalised."""
    u, v = to_tangents(camera, x, y)
    m = MATRIX
    return (
        u * camera[m] + v * camera[m + 1] + camera[m + 2],
        u * camera[m + 3] + v * camera[m + 4] + camera[m + 5],
        u * camera[m + 6] + v * camera[m + 7] + camera[m + 8],
    )


def meet_ellipsoid(start: Any, ray: Any, height_m: Any) -> Any:
    """Find first intersections of rays with the ellipsoid, both semi-axes enlarged by a height.

    NaN where a ray misses the Earth or points away from it.
    """
    major, minor = SEMI_MAJOR_M + height_m, SEMI_MINOR_M + height_m
    (px, py, pz), (rx, ry, rz) = start, ray
    ax, ay, az, bx, by, bz = rx / major, ry / major, rz / minor, px / major, py / major, pz / minor
    a = ax * ax + ay * ay + az * az
    b = ax * bx + ay * by + az * bz
    root = b * b - a * (bx * bx + by * by + bz * bz - 1.0)
    distance = (-b - np.sqrt(nan_unless((root >= 0.0) & (b < 0.0), root))) / a
    return px + distance * rx, py + distance * ry, pz + distance * rz


def to_ground(camera: Any, x: Any, y: Any, height_m: Any) -> Any:
    """Intersect pixel rays with the ground at a height (ECEF, metres); NaN for the sky."""
    position = camera[POSITION], camera[POSITION + 1], camera[POSITION + 2]
    return meet_ellipsoid(position, to_ray(camera, x, y), height_m)


# Loops for compilation


def moves_less(first: Any, second: Any, height: int, places: Any, most_px: float) -> bool:
    """Whether most ground points have nearly the same pixels in both cameras.

    The points are at ``places`` in the first image, shape (n, 2), as fractions of the image sides.
    False if all of them are sky.
    """
    seen = far = 0
    for n in range(len(places)):
        x, y = places[n, 0] * first[WIDTH], places[n, 1] * height
        at_x, at_y, at_z = to_ground(first, x, y, 0.0)
        if np.isnan(at_x):
            continue
        there_x, there_y = to_pixel(second, at_x, at_y, at_z)
        seen += 1
        far += not np.hypot(there_x - x, there_y - y) < most_px
        if 2 * far > len(places):
            return False
    return 2 * far < seen


def fill_views(camera: Any, axes: Any, points: Any, pixels: Any, change: Any) -> None:
    """Compute pixels of points (ECEF, metres), and their derivatives by the pose parameters.

    See `matchers.geometry.pose.differentiate_pixels`.

    Parameters
    ----------
    axes : ndarray of float64, shape (3, 3)
        Axes of `matchers.geometry.pose.track_axes` in the camera frame.
    pixels : ndarray of float64, shape (n, 2)
        Output; NaN for points behind the camera.
    change : ndarray of float64, shape (n, 2, 10)
        Output; must be 0 on entry, and remains so for points behind the camera.
    """
    distortion = distortion_of(camera)[0]
    focal, focal_y = camera[FOCAL], camera[FOCAL] * camera[ASPECT]
    focal_x = focal * (1.0 - 2.0 * camera[MIRRORED])
    for n in range(len(points)):
        x, y, z = to_local(camera, points[n, 0], points[n, 1], points[n, 2])
        pixels[n, 0], pixels[n, 1] = to_image(camera, x, y, z)
        if np.isnan(pixels[n, 0]):
            continue
        u, v = x / z, y / z
        square = u * u + v * v
        bent_u, bent_v = distort(u, v, distortion)
        uu, vv, uv = distortion_jacobian(u, v, distortion)
        for k in range(7):
            # Rotating the camera by r rotates the point by -r: d(local) = local x r
            du, dv = bent_u, bent_v
            if k == 0:
                du, dv = u * v, 1.0 + v * v
            elif k == 1:
                du, dv = -(1.0 + u * u), -u * v
            elif k == 2:
                du, dv = v, -u
            elif k > 3:
                du = (u * axes[k - 4, 2] - axes[k - 4, 0]) / z
                dv = (v * axes[k - 4, 2] - axes[k - 4, 1]) / z
            if k != 3:
                du, dv = uu * du + uv * dv, uv * du + vv * dv
            change[n, 0, k], change[n, 1, k] = focal_x * du, focal_y * dv
        change[n, 0, 7], change[n, 1, 7] = focal_x * u * square, focal_y * v * square
        change[n, 0, 8], change[n, 1, 9] = focal_x / focal, 1.0
