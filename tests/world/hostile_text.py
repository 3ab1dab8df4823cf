"""Text that means something else to a careless writer of SQL."""

from __future__ import annotations

HOSTILE = (
    "it's",
    "''",
    "'); DROP TABLE imagenesISS; --",
    "\\'); DROP TABLE imagenesISS; --",
    "ends in a backslash\\",
    "\\n is no line end",
    "line\nend\r\nand\tmore\x1a",
    "delimiter //\nDELIMITER //\n\\! true\n\\q",
    "\"double\" `back` $$dollar$$ :colon :'colon' ${x} %s %(x)s ? @x",
    "/*! SELECT 1 */ -- # /*",
    "Ōsaka 大阪 🌃 👩‍🚀 e\u0301",
    "\u202eright to left\u2028\ufeff",
    "\x01\x7f\x80\x9f",
    " spaces at the ends ",
    "NULL",
    "E'\\x41'",
    "_utf8mb4 X'41'",
)
