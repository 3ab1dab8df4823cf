"""What ``regengine classify`` says of each photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regengine.batch.answers import Answer
from regengine.scene.classify import ClassifyInputs, classify_photo
from regengine.scene.result import scene_line, table_line


@dataclass(frozen=True)
class SceneAnswers:
    """The answers of a run; call it with a path.

    Attributes
    ----------
    inputs : ClassifyInputs
    keep : bool
        Give the whole `Scene` beside its line.
    """

    inputs: ClassifyInputs
    keep: bool = False

    def __call__(self, path: Path) -> Answer:
        """The photo's record and line."""
        scene = classify_photo(path, self.inputs)
        return Answer(
            line=scene_line(scene), text=table_line(scene), kept=scene if self.keep else None
        )
