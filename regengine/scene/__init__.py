"""What a photo shows: features, clustering, models, and where the Sun was.

In: a photo, its time and position, if known.
Out: a category with probabilities, and reasons.
Start reading at `classify`, then `features`.
"""
