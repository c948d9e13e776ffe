# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-call"
"""Writes the executed notebook and its HTML, each whole or not at all."""

from __future__ import annotations

import os
import re
from typing import Any

import nbformat

# Blocks of nbconvert's "lab" template that fetch a script when the page is viewed, which a notebook
# without that kind of content leaves out: most pages then need no network.
_SCRIPTS = {
    "mathjax": "html_head_js_mathjax",
    "requirejs": "html_head_js_requirejs",
    "mermaid": "html_head_js_mermaidjs",
}

# TeX in Markdown, as nbconvert's Markdown renderer delimits it.
_MATH = re.compile(r"\$[^$\n]+\$|\$\$|\\\(|\\\[|\\\\\(|\\\\\[|\\begin\{")
_REQUIRE = re.compile(r"\brequire(js)?\s*[.(]|\bdefine\s*\(")


def write_notebook(notebook: Any, path: str) -> None:
    """Write the notebook as JSON; raises OSError."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell["outputs"] = _with_streams_joined(cell.get("outputs", []))
    _write(path, nbformat.writes(notebook) + "\n")


def write_html(notebook: Any, path: str, *, title: str, folder: str) -> list[str]:
    """Write a page that holds its styles and images; returns the scripts that it still fetches.

    `folder` is where the relative paths of images start. Raises OSError, and whatever nbconvert raises.
    """
    from nbconvert.exporters.html import HTMLExporter

    fetched = needed_scripts(notebook)
    omitted = [block for name, block in _SCRIPTS.items() if name not in fetched]
    blocks = "".join(f"{{% block {block} %}}{{% endblock %}}" for block in omitted)
    exporter = HTMLExporter(
        raw_template="{% extends 'index.html.j2' %}" + blocks,
        embed_images=True,
    )
    body, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title, "path": folder}})
    _write(path, body)
    return fetched


def needed_scripts(notebook: Any) -> list[str]:
    """Which of `mathjax`, `mermaid`, `requirejs` and `widgets` the page of this notebook needs."""
    needed = set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            needed |= _needs("text/markdown", cell.source)
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                needed |= _needs(kind, content if isinstance(content, str) else "")
    if "widgets" in notebook.metadata:
        needed |= {"requirejs", "widgets"}
    return sorted(needed)


def _needs(kind: str, content: str) -> set[str]:
    if kind == "text/markdown":
        needed = {"mathjax"} if _MATH.search(content) else set()
        return needed | ({"mermaid"} if "```mermaid" in content else set())
    if kind in ("text/html", "application/javascript"):
        return {"requirejs"} if _REQUIRE.search(content) else set()
    return {"text/latex": {"mathjax"}, "text/vnd.mermaid": {"mermaid"}}.get(kind, set())


def _with_streams_joined(outputs: list[Any]) -> list[Any]:
    """Runs of the same stream as one output each, as Jupyter's own editors save them."""
    joined: list[Any] = []
    texts: list[str] = []
    for output in outputs:
        if joined and _same_stream(joined[-1], output):
            texts.append(output.text)
            continue
        _close(joined, texts)
        joined.append(output)
        texts = [output.text] if output.output_type == "stream" else []
    _close(joined, texts)
    return joined


def _same_stream(one: Any, other: Any) -> bool:
    return one.output_type == other.output_type == "stream" and bool(one.name == other.name)


def _close(joined: list[Any], texts: list[str]) -> None:
    if texts:
        joined[-1]["text"] = "".join(texts)


def _write(path: str, text: str) -> None:
    """Write a file under another name in its folder and rename it, so that nobody sees a part of it."""
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.part")
    try:
        # Cells may print lone surrogates, which UTF-8 has no bytes for.
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
