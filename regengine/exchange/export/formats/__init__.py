"""Formats of export, found by being here.

A module is named after the formats in it, joined by underscores, and has them by name in
``FORMATS``; it imports what is heavy where it is used.
"""
