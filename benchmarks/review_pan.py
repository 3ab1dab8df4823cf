"""How long Chromium's main thread is busy while photos of 45 megapixels are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.chromium_trace import CATEGORIES, Task, main_thread_tasks, trace_events
from benchmarks.review_browser import ReviewHand

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Milliseconds from the last key to a frame's first picture, and from the page's start to it
WATCH = """
window.keyAt = 0; window.drawnAt = 0;
document.addEventListener("keydown", () => { window.keyAt = performance.now(); }, true);
new MutationObserver(() => {
  if (document.querySelector("#photo[data-drawn]")) window.drawnAt ||= performance.now();
  else window.drawnAt = 0;
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-drawn"] });
"""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was measured at the page.

    Attributes
    ----------
    pan : list of Task
        Tasks of the main thread while the photo was zoomed and panned, the longest first.
    first_ms : float
        From the start of the page to its first picture.
    next_ms : tuple of float
        From the key to the next frame's first picture.
    """

    pan: list[Task]
    first_ms: float
    next_ms: tuple[float, ...]


def look(browser: Browser, address: str, frames: int) -> Looked:
    """Open the page on photos of 45 MP; zoom and pan the first one, then skip through the rest."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.add_init_script(WATCH)
    hand = ReviewHand(page, address)
    hand.go_to()
    first_ms = float(page.evaluate("window.drawnAt"))
    browser.start_tracing(page=page, categories=list(CATEGORIES))
    _pan(hand)
    pan = main_thread_tasks(trace_events(browser.stop_tracing()))
    page.wait_for_timeout(2000)  # a person looks; the next frames are fetched
    next_ms = []
    for _ in range(frames - 1):
        page.evaluate("window.drawnAt = 0")
        page.keyboard.press("s")
        page.wait_for_function("window.drawnAt > window.keyAt")
        next_ms.append(float(page.evaluate("window.drawnAt - window.keyAt")))
        page.wait_for_timeout(1500)
    page.close()
    return Looked(pan=pan, first_ms=first_ms, next_ms=tuple(next_ms))


def _pan(hand: ReviewHand) -> None:
    """Zoom in to the photo's own pixels, drag it about, and zoom out again."""
    box = hand.page.locator("#photo").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2.0, box["y"] + box["height"] / 2.0)
    hand.page.mouse.move(*middle)
    for turns, by in ((8, -240.0), (0, 0.0), (8, 240.0)):
        for _ in range(turns):
            hand.page.mouse.wheel(0.0, by)
            hand.page.wait_for_timeout(120)
        for across, down in ((-200, -90), (170, 120), (-150, 100), (210, -140)):
            hand.drag(middle, (middle[0] + across, middle[1] + down), steps=15)
            hand.page.wait_for_timeout(150)
