"""Where a photo looks: prepare, propose, refine, verify, accept.

In: a `Frame`, a `Prior` of what is known, maps.
Out: a `FrameResult`: camera, control points, probability, reasons.
Start reading at `register`, which tells the method; `types` names what passes.
"""
