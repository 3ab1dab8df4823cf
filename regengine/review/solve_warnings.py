"""What a person should know of a camera from points, in sentences."""

from __future__ import annotations


def warning_of(suspects: int, hidden: int, undecided: bool) -> str | None:
    """Sentences about points; None where all is well.

    Parameters
    ----------
    suspects : int
        How many disagree with the others.
    hidden : int
        How many have their place beyond the camera's horizon.
    undecided : bool
        Whether points disagree of which it cannot be told which is wrong.

    Returns
    -------
    str or None
    """
    sentences = []
    if suspects == 1:
        sentences.append("One point disagrees with the others: the camera is fitted without it.")
    elif suspects:
        sentences.append(
            f"{suspects} points disagree with the others: the camera is fitted without them."
        )
    if undecided:
        sentences.append(
            "The points disagree, and they are too few to tell which is wrong: add another one."
        )
    if hidden:
        points = "One point lies" if hidden == 1 else f"{hidden} points lie"
        sentences.append(f"{points} beyond the horizon of this camera.")
    return " ".join(sentences) or None
