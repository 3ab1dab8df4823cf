"""Frames of stores: chosen, described in columns, catalogued, given points by others.

In: stores, conditions in SQL, files of control points.
Out: `ExportFrame`s and tables, which exports, studies and pages read.
Start reading at `select`, then `frame`; `catalogue` joins many stores.
"""
