"""The focal lengths that a search tries: the one given, crops of it, or the usual lenses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matchers.camera import Camera
from regengine.photo.camera_bodies import FULL_FRAME_MM
from regengine.registration.parameters import LENS
from regengine.registration.stage_yields import StageYields


@dataclass(frozen=True, kw_only=True)
class LensBelief:
    """A focal length to try.

    ratio: Over the nominal one.
    share: Probability that the true one is nearer to it than to the others that are tried.
    sigma_log_focal: How well it is believed.
    is_cropped: Whether the axis may be off the middle.
    ladder: Asterisms are compared with the focal length divided by each of these in turn.
    """

    ratio: float
    share: float = 1.0
    sigma_log_focal: float = LENS.sigma_log_focal
    is_cropped: bool = False
    ladder: tuple[float, ...] = (1.0,)


def is_telephoto(camera: Camera) -> bool:
    """Whether a frame lies within one city: by the angle that its long side covers."""
    longest = max(camera.width_px, camera.height_px)
    return bool(
        np.degrees(2.0 * np.arctan(0.5 * longest / camera.focal_px)) < LENS.telephoto_field_deg
    )


def list_lens_beliefs(
    nominal: Camera,
    yields: StageYields,
    *,
    steps: str,
    focal_known: bool,
    may_be_cropped: bool,
    outlier_share: float,
) -> list[LensBelief]:
    """Focal lengths that are worth trying.

    Parameters
    ----------
    steps : {"single", "ladder"}
        Whether they are tried one by one, or asterisms at a ladder about each.
    may_be_cropped : bool
        Whether the picture has another shape than the sensor.
    outlier_share : float
        Of given focal lengths that are wrong by any factor.
    """
    ladder = (1.0, 0.8, 1.25) if steps == "ladder" else (1.0,)  # reaches from 0.7 to 1.4 times
    beliefs = []
    if focal_known:
        shape = "crop" if may_be_cropped else "whole"
        for ratio, share in yields.table(f"lens_{steps}_{shape}").items():
            given = ratio == 1.0
            beliefs.append(
                LensBelief(
                    ratio=ratio,
                    share=(1.0 - outlier_share) * share,
                    sigma_log_focal=LENS.sigma_log_focal if given else LENS.sigma_log_focal_unsure,
                    is_cropped=may_be_cropped or not given,
                    ladder=(1.0,) if given else ladder,
                )
            )
    # Lenses of the archive's night frames, as of a full frame
    longest = max(nominal.width_px, nominal.height_px)
    tried = [belief.ratio for belief in beliefs]
    for focal_mm, share in yields.table(f"lens_{steps}_unknown").items():
        ratio = focal_mm / FULL_FRAME_MM[0] * longest / nominal.focal_px
        if any(abs(np.log(ratio / other)) < LENS.sigma_log_focal_unsure for other in tried):
            continue
        beliefs.append(
            LensBelief(
                ratio=ratio,
                share=share * (outlier_share if focal_known else 1.0),
                sigma_log_focal=LENS.sigma_log_focal_unsure,
                is_cropped=may_be_cropped or focal_known,
                ladder=ladder,
            )
        )
    return beliefs
