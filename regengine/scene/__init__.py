"""What a photo shows: its category, and the lights, stars, streaks and lightning in it.

In: a photo, its time and position, if known.
Out: a category with probabilities, and reasons; lists of detections.
Start reading at `classify`, then `features`; `detection`.
"""
