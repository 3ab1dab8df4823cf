"""Decisions and drafts: saved at once, or refused with a sentence."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Response

from regengine.review.bodies import DecisionBody, DraftBody
from regengine.review.context import ReviewContext
from regengine.review.decisions import Judged
from regengine.review.frame_answer import decision_json
from regengine.review.reviewed import state_of
from regengine.review.routes_frames import FrameId, no_frame


def router(context: ReviewContext) -> APIRouter:
    """Routes of decisions."""
    routes = APIRouter(prefix="/api/frames/{number}")
    decisions, reviewer = context.decisions, context.reviewer

    def judged(number: int) -> Judged:
        if context.readonly:
            raise HTTPException(403, "this review is for looking only: nothing can be decided.")
        try:
            result = context.frames.frame(number).result
        except KeyError:
            raise no_frame(number) from None
        sha256, proposal = state_of(result)
        return Judged(
            frame_index=number,
            sha256=sha256,
            verdict=result.verdict,
            probability=result.probability,
            proposal_sha256=proposal,
        )

    @routes.put("/draft")
    def keep_draft(number: FrameId, draft: DraftBody) -> dict[str, str]:
        """Keep unfinished work: what a reload brings back."""
        about = judged(number)
        time_utc = decisions.keep_draft(number, about.sha256, reviewer, draft.work())
        return {"time_utc": time_utc}

    @routes.delete("/draft", status_code=204, response_class=Response)
    def drop_draft(number: FrameId) -> None:
        """Forget unfinished work."""
        judged(number)
        decisions.drop_draft(number, reviewer)

    @routes.put("/decision")
    def decide(number: FrameId, body: DecisionBody) -> dict[str, Any]:
        """Add a decision; one that the page had not seen comes back as a conflict."""
        about = judged(number)
        saved, conflict = decisions.save(
            about, reviewer, body.decision, body.work(), base=body.base, seconds=body.seconds
        )
        heads = decisions.heads(number, about.sha256)
        return {
            "revision": saved.revision,
            "time_utc": saved.time_utc,
            "conflict": None if conflict is None else decision_json(conflict),
            "others": [decision_json(head) for head in heads if head.reviewer != reviewer],
        }

    return routes
