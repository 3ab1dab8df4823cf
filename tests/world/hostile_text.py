"""Text that means something else to a careless writer of SQL."""

from __future__ import annotations

from hypothesis import strategies as st

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
# What SQL is made of comes up more often than by chance
SPECIAL = "'\"\\`;-/*#\n\r\t\0:$@%_ XxEeNn🌃"
PIECES = ("'';", "\\'", "--", "\ndelimiter ")
LETTER = st.characters() | st.sampled_from(SPECIAL)
TEXT = st.lists(LETTER | st.sampled_from(PIECES), max_size=30).map("".join)
TEXTS = st.lists(TEXT, min_size=1, max_size=25)


def kept(text: str) -> str:
    """What is to come back: all but zero bytes and half characters, which no server can hold."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\u0000")
