"""How ``make docs`` builds the site: Sphinx reads the Markdown pages as they are, and docstrings.

Pages outside of this folder that it links to are on the site, too: sources begin at the root.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version as version_of
from typing import Any

from docs.field_tables import fill_in
from regengine.commands import RegengineGroup
from regengine.commands.lazy import leaves, load_command

project = "regengine"
release = version = version_of("regengine")
copyright = "the regengine authors, BSD-3-Clause"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**"]
include_patterns += [
    f"{folder}/*.md" for folder in ("benchmarks/results", "data_samples", "regengine/data")
]
exclude_patterns = [".venv", "out", "docs/examples", "tests"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Results and the README are found by links; that all other pages are listed is tested
suppress_warnings = ["toc.not_included", "myst.header"]

default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = False

html_theme = "furo"
html_title = "regengine"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"sidebar_hide_name": False}

# Pages whose lists of pages, "- [title](page.md): …", are the contents of the side bar
LISTS = frozenset({root_doc, "docs/howto", "docs/reference", "docs/methods"})
LISTED = re.compile(r"^- \**\[[^\]]*\]\(([\w/.-]+)\.md\)", re.M)


def add_generated_parts(app: Any, docname: str, content: list[str]) -> None:
    """Add the side bar's contents to lists of pages, tables of fields, and the help to options."""
    content[0] = fill_in(content[0])
    if docname in LISTS:
        entries = "\n".join(LISTED.findall(content[0]))
        content[0] += f"\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"
    if docname == "docs/options":
        content[0] += "".join(f"\n## {name}\n\n```text\n{text}\n```\n" for name, text in helps())


def helps() -> Iterator[tuple[str, str]]:
    """Each command in words, and its help."""
    for name in RegengineGroup.summaries:
        for path in leaves(load_command(name)):
            context: Any = None
            for step in (RegengineGroup(name="regengine"), *path):
                context = step.context_class(step, info_name=step.name, parent=context)
            yield context.command_path, context.get_help()


ITEM = re.compile(r"^(\w+(?:, \w+)*): (.*)$")


def fields(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Show "name: what it means", continued further in, as the list that it is."""
    shown: list[str] = []
    inside = False
    for number, line in enumerate(lines):
        item = ITEM.match(line)
        after = lines[number + 1] if number + 1 < len(lines) else ""
        if item and (inside or after.startswith("    ") or ITEM.match(after)):
            if not inside and shown and shown[-1]:
                shown.append("")
            inside = True
            shown += [f"``{item[1]}``", f"    {item[2]}"]
        else:
            inside = inside and line.startswith("    ")
            shown.append(line)
    lines[:] = shown


def setup(app: Any) -> None:
    """Let Sphinx call these."""
    app.connect("source-read", add_generated_parts)
    app.connect("autodoc-process-docstring", fields, priority=400)
