"""The picture as a whole, on photographs with known truth."""

from __future__ import annotations

import pytest

from matchers.pose import turned
from regengine.registration.refinement import COMPARED_PX, picture_odds
from regengine.registration.verification import LOG10_ATTITUDES_PER_LOOK
from tests.regengine.registration.simulated_frames import Solved


@pytest.mark.parametrize("size_px", [COMPARED_PX // 2, COMPARED_PX])
@pytest.mark.parametrize("name", ["near_nadir", "oblique", "slanted"])
def test_the_picture_proves_the_right_camera_alone(
    name: str, size_px: int, request: pytest.FixtureRequest
) -> None:
    solved: Solved = request.getfixturevalue(name)
    solution, camera = solved.best.solution, solved.best.camera
    odds = picture_odds(solution.image, camera, solution.levels, size_px)
    assert odds > LOG10_ATTITUDES_PER_LOOK + 3.0
    field = max(camera.width_px, camera.height_px) / camera.focal_px
    for turn in ([0.0, 0.1 * field, 0.0], [0.0, 0.0, 0.5], [0.05 * field, 0.15 * field, 0.2]):
        wrong = turned(camera, turn)
        assert (
            picture_odds(solution.image, wrong, solution.levels, size_px) < LOG10_ATTITUDES_PER_LOOK
        )
