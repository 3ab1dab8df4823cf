"""Statistics of the review."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from regengine.review.context import ReviewContext
from regengine.review.stats import review_stats


def router(context: ReviewContext) -> APIRouter:
    """The route of the statistics."""
    routes = APIRouter(prefix="/api")

    @routes.get("/stats")
    def stats() -> dict[str, Any]:
        """How far the review is, and who agrees with whom."""
        return review_stats(context.store, context.frames.rows)

    return routes
