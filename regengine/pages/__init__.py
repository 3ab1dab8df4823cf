"""What people look at: the report of a run, and the review in the browser.

In: a store, its photos, maps.
Out: one HTML file; a server on this machine that keeps decisions.
Start reading at `report.report`; `review.server`.
"""
