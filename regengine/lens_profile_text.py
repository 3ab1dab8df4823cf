"""A lens profile as lines for people."""

from __future__ import annotations

import numpy as np

from regengine.lens_profile import LensProfile


def profile_lines(profile: LensProfile) -> list[str]:
    """What a profile says, one thing a line.

    Parameters
    ----------
    profile : LensProfile

    Returns
    -------
    list of str
    """
    name = " with ".join(part for part in (profile.camera, profile.lens) if part) or "unnamed"
    nominal = "" if profile.focal_mm is None else f", {profile.focal_mm:g} mm"
    px, py = profile.principal_point
    middle = ((profile.width_px - 1) / 2.0, (profile.height_px - 1) / 2.0)
    held_out = (
        "" if profile.held_out_px is None else f", {profile.held_out_px:.3f} of stars left out"
    )
    lines = [
        f"{name}{nominal}: {profile.width_px} x {profile.height_px} px",
        f"  focal length     {profile.focal_px:.3f} +- {profile.sigma('focal_px'):.3f} px",
        f"  principal point  {px:.2f} +- {profile.sigma('x_px'):.2f}, "
        f"{py:.2f} +- {profile.sigma('y_px'):.2f} px "
        f"({px - middle[0]:+.2f}, {py - middle[1]:+.2f} from the middle)",
    ]
    for term, value in zip(("k1", "k2", "p1", "p2", "k3"), profile.distortion, strict=True):
        if term in profile.free:
            lines.append(f"  {term}               {value:+.6f} +- {profile.sigma(term):.6f}")
    lines.append(
        f"  from             {profile.stars} stars of {profile.frames} photos, residual "
        f"{profile.rms_px:.3f} px per axis{held_out}"
    )
    if profile.falloff is not None:
        corner = float(profile.falloff.arrives(1.0))
        sigma = float(profile.falloff.sigma(1.0))
        lines.append(
            f"  falloff          {100 * corner:.1f} +- {100 * sigma:.1f} % of the light arrives in "
            f"the corners ({profile.falloff.frames} photos)"
        )
    if profile.exposure is not None:
        given = profile.exposure
        settings = [
            f"{value:g}{unit}" if unit == " s" else f"{unit}{value:g}"
            for value, unit in (
                (given.exposure_s, " s"),
                (given.aperture_f, "f/"),
                (given.iso, "ISO "),
            )
            if value is not None
        ]
        lines.append(
            f"  limit            G {given.limiting_mag:.2f} at a signal-to-noise ratio of 5"
            + (f" ({', '.join(settings)})" if settings else "")
        )
    for channel in profile.channels:
        lines.append(
            f"  {channel.channel:16s} zero point {channel.zero_point_mag:.3f} +- "
            f"{channel.zero_point_sigma:.3f}, colour term {channel.colour_term:+.3f} +- "
            f"{channel.colour_term_sigma:.3f}, scatter {channel.scatter_mag:.3f} mag "
            f"({channel.stars} stars)"
        )
    lines.append(
        f"  made             {profile.made_at} by {profile.made_with}, {profile.catalogue} at "
        f"{np.round(profile.catalogue_epoch, 1)}"
    )
    return lines
