"""`image size` and `image diff`: what they print, write and refuse; the page in a real browser."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.images import link, store_image

from wardian.image.descriptor import CONFIG, MANIFEST
from wardian.image.library import Library, StoredImage
from wardian.image.manifest import Configuration, Execution, Manifest
from wardian.image.platform import Platform
from wardian.image.reference import Reference
from wardian.store.store import Store

SITE = "opt/venv/lib/python3.13/site-packages"
EVIL = "<img src=x onerror=parent.harm=1>"
LOWER = {
    "var/lib/dpkg/status": b"Package: tool\nStatus: install ok installed\nVersion: 1-1\n",
    "var/lib/dpkg/info/tool.list": b"/usr/bin/tool\n",
    "usr/bin/tool": os.urandom(40_000),
    "srv/old": b"o" * 9_000,
}
UPPER = {
    f"{SITE}/thing-2.dist-info/METADATA": b"Name: thing\nVersion: 2\n\n",
    f"{SITE}/thing-2.dist-info/RECORD": b"thing/a.so,,\nthing/b.py,,\n",
    f"{SITE}/thing/a.so": b"a" * 60_000,
    f"{SITE}/thing/b.py": b"b" * 20_000,
    "work/one": b"same" * 3_000,
    "work/two": b"same" * 3_000,
    "srv/.wh.old": b"",
}
HOSTILE = {
    f"work/{EVIL}": b"1" * 5_000,
    "work/</script><script>parent.harm=1</script>": b"2" * 5_000,
    'work/"onmouseover="parent.harm=1': b"3" * 5_000,
    "work/\x1b[2J\x07\u2028'`&amp;": b"4" * 5_000,
    f"{SITE}/x.dist-info/METADATA": f"Name: </title>{EVIL}\nVersion: <svg onload=parent.harm=1>\n".encode(),
}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store.open(tmp_path / "home"))


@pytest.fixture
def image(library: Library) -> StoredImage:
    return store_image(library, LOWER, UPPER)


def test_the_tree_is_shown(invoke, image):
    lines = invoke("image", "size", "example:1").out.splitlines()
    digest = image.descriptor.digest.hex[:12]
    assert re.fullmatch(
        rf"example:1 \({digest}\): 144\.\d kB in 9 files, \S+ kB packed in 2 layers", lines[0]
    )
    assert lines[2].split() == ["PACKAGE", "UNPACKED", "SHARE", "PACKED", "~"]
    rows = [line.split() for line in lines[3:10]]
    assert [row[:4] for row in rows[:4]] == [
        ["Python", "packages", "80.0", "kB"],
        ["└─", "thing", "2", "80.0"],
        ["Debian", "packages", "40.0", "kB"],
        ["└─", "tool", "1-1", "40.0"],
    ]
    text = "\n".join(lines)
    assert "Duplicates: the same content in several places takes 12.0 kB more than once\n" in text
    assert "12.0 kB  2 x 12.0 kB  /work/one, /work/two" in text
    assert "Overwritten or removed by upper layers: 9.0 kB" in text
    assert "9.0 kB  /srv/old (removed)" in text
    assert f"60.0 kB  /{SITE}/thing/a.so (thing 2)" in text
    assert text == invoke("image", "size", "example:1").out.rstrip("\n")


def test_how_much_is_shown(invoke, image):
    shallow = invoke("image", "size", "example:1", "--depth", "1").out
    assert "Python packages" in shallow
    assert "thing 2 " not in shallow.partition("Big files")[0]
    deep = invoke("image", "size", "example:1", "--depth", "4", "--top", "1").out
    assert re.search(r"├─ a\.so +60\.0 kB", deep)
    assert re.search(r"^ +└─ 1 more", invoke("image", "size", "example:1", "--top", "1").out, re.M) is None
    assert deep.partition("Big files\n")[2].count("\n") == 1
    assert invoke("image", "size", "example:1", "--quiet").out == ""
    coloured = invoke("image", "size", "example:1", FORCE_COLOR="1", TERM="xterm").out
    assert "\x1b[" in coloured


def test_sizes_as_json(invoke, image):
    found = json.loads(invoke("image", "size", "example:1", "--json").out)
    assert found["digest"] == image.descriptor.digest
    assert found["packed"] == sum(layer.size for layer in image.manifest.layers)
    assert found["bytes"] == sum(ecosystem["bytes"] for ecosystem in found["ecosystems"])
    by_name = {ecosystem["name"]: ecosystem for ecosystem in found["ecosystems"]}
    (package,) = by_name["python"]["packages"]
    assert (package["name"], package["version"], package["files"]) == ("thing", "2", 4)
    assert found["duplicates"] == {
        "bytes": 12_000,
        "contents": [{"bytes": 12_000, "wasted": 12_000, "paths": ["/work/one", "/work/two"]}],
    }
    assert found["lost"]["files"] == [{"path": "/srv/old", "layer": 0, "bytes": 9_000, "removed": True}]
    assert [layer["bytes"] for layer in found["layers"]] == [
        sum(map(len, LOWER.values())),
        sum(map(len, UPPER.values())),
    ]
    assert len(json.loads(invoke("image", "size", "example:1", "--json", "--top", "1").out)["big_files"]) == 1


def test_hostile_names_are_shown_as_text(invoke, library):
    bytes_name = b"work/\xff\xfe".decode("utf-8", "surrogateescape")
    store_image(library, [*HOSTILE.items(), (bytes_name, b"5" * 5_000)])
    text = invoke("image", "size", "example:1", "--depth", "9").out
    assert "\x1b" not in text
    text.encode()
    paths = [
        file["path"] for file in json.loads(invoke("image", "size", "example:1", "--json").out)["big_files"]
    ]
    assert "/work/\\xff\\xfe" in paths
    assert "/work/\\xff\\xfe " in text.partition("Big files")[2]


def test_an_image_without_layers(invoke, library, image):
    configuration = Configuration(
        architecture=Platform.host().architecture, execution=Execution(), diff_ids=(), history=()
    )
    manifest = Manifest(config=library.add(configuration.encode(), CONFIG), layers=())
    library.keep(Reference.parse("empty:1"), library.add(manifest.encode(), MANIFEST), origin="loaded")
    assert "0 B in 0 files, 0 B packed in 0 layers" in invoke("image", "size", "empty:1").out
    assert json.loads(invoke("image", "size", "empty:1", "--json").out)["layers"] == []
    assert invoke("image", "size", "empty:1", "--html", "-").out.startswith("<!DOCTYPE html>")
    ET.fromstring(invoke("image", "size", "empty:1", "--svg", "-").out)
    assert invoke("image", "diff", "empty:1", "empty:1", "--exit-code").status == 0
    for pair in (("empty:1", "example:1"), ("example:1", "empty:1")):
        assert invoke("image", "diff", *pair, "--exit-code").err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("size", "nothing"), "there is no image 'nothing' here"),
        (("size", "example:1", "--depth", "0"), "'0' is no number from 1 on"),
        (("size", "example:1", "--top", "x"), "'x' is no number from 1 on"),
        (("size", "example:1", "--top", "9" * 5000), "is no number from 1 on"),
        (("size", "example:1", "--html", "there"), "there is there already"),
        (("size", "example:1", "--svg", "there"), "there is there already"),
        (("size", "example:1", "--html", "."), "is a folder"),
        (("size", "example:1", "--html", "no/x"), "cannot write "),
        (("size", "example:1", "--html", "x", "--svg", "x"), "two things cannot go to one place"),
        (("size", "example:1", "--html", "-", "--json"), "two things cannot go to one place"),
        (("diff", "example:1"), "the following arguments are required: B"),
        (("diff", "example:1", "exampel:1"), "there is no image 'exampel:1' here"),
    ],
)
def test_what_is_refused(invoke, image, tmp_path, words, message):
    (tmp_path / "there").write_text("mine")
    outcome = invoke("-C", str(tmp_path), "image", *words)
    assert (outcome.status, message in outcome.err) == (1, True)
    assert (tmp_path / "there").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "there"]


def test_pictures_are_written_whole(invoke, image, tmp_path):
    words = ("-C", str(tmp_path), "image", "size", "example:1", "--html", "x.html", "--svg", "x.svg")
    assert invoke(*words).out == "x.html: example:1\nx.svg: example:1\n"
    first = (tmp_path / "x.html").read_bytes(), (tmp_path / "x.svg").read_bytes()
    assert invoke(*words).status == 1
    assert invoke(*words, "--force").status == 0
    assert first == ((tmp_path / "x.html").read_bytes(), (tmp_path / "x.svg").read_bytes())
    assert invoke("image", "size", "example:1", "--svg", "-").out == first[1].decode()


def test_the_svg_is_well_formed_and_still(invoke, library):
    store_image(library, LOWER, {**UPPER, **HOSTILE})
    text = invoke("image", "size", "example:1", "--svg", "-").out
    root = ET.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "g", "text", "tspan"}
    told = {element.text for element in root.iter() if element.tag.endswith("}title")}
    assert f"/work/{EVIL}, 5.0 kB, 3.5%" in told or any(EVIL in str(title) for title in told)
    assert not re.search(r"\bon\w+=", re.sub(r">[^<]*<", "><", text))
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]


def test_what_changed_is_shown(invoke, library, image):
    store_image(
        library,
        LOWER,
        [
            *((name, data) for name, data in UPPER.items() if name != "work/two"),
            (f"{SITE}/more-1.dist-info/METADATA", b"Name: more\nVersion: 1\n"),
            link("work/new", "one"),
        ],
        name="example:2",
        execution=Execution(command=("tool", "--fast"), environment=(("PATH", "/usr/bin"),)),
    )
    outcome = invoke("image", "diff", "example:1", "example:2")
    assert outcome.status == 0
    text = outcome.out
    assert text.startswith("example:1 -> example:2\nunpacked  144.")
    assert "layers: 1 shared (" in text
    assert "\nPackages\n  + more (python)  1  +22 B\n" in text
    assert "\nConfiguration\n  ~ command  tool -> tool --fast\n" in text
    assert (
        "\nFiles outside of packages\n  + /work/new  symlink      +0 B\n  - /work/two           -12.0 kB\n"
        in text
    )
    assert "METADATA" not in text
    assert f"  + /{SITE}/more-1.dist-info/METADATA" in invoke(
        "image", "diff", "--files", "example:1", "example:2"
    ).out  # fmt: skip
    found = json.loads(invoke("image", "diff", "--json", "example:1", "example:2").out)
    assert found["differ"] is True
    assert found["layers"]["shared"]["count"] == 1
    assert found["packages"][0] == {
        "ecosystem": "python", "name": "more", "old": None, "new": "1",
        "old_bytes": 0, "new_bytes": 22, "files": 1,
    }  # fmt: skip
    assert [file["path"] for file in found["files"]] == ["/work/new", "/work/two"]
    assert found["files"][0]["new"]["target"] == "one"


def test_status_of_a_difference(invoke, library, image):
    store_image(library, LOWER, {**UPPER, "work/three": b"3"}, name="example:2")
    words = ("image", "diff", "example:1")
    assert invoke(*words, "example:2").status == 0
    assert invoke(*words, "example:2", "--exit-code", "--quiet").out == ""
    assert invoke(*words, "example:2", "--exit-code").status == 1
    same = invoke(*words, image.descriptor.digest.hex[:12], "--exit-code")
    assert same.status == 0
    assert same.out.endswith("nothing differs in files and configuration\n")
    assert json.loads(invoke(*words, "example:1", "--json").out)["differ"] is False


def test_a_long_list_of_files_is_cut(invoke, library, image):
    many = {f"work/{number:03}": b"x" for number in range(80)}
    store_image(library, LOWER, {**UPPER, **many}, name="example:2")
    text = invoke("image", "diff", "example:1", "example:2").out
    assert text.count("  + /work/") == 50
    assert text.endswith("  and 30 more (--files lists them)\n")
    assert invoke("image", "diff", "example:1", "example:2", "--files").out.count("  + /work/") == 80


# The page, in a browser.

DRIVER = """<!DOCTYPE html><iframe src="page.html" width="1200" height="900"></iframe><pre></pre><script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const box = (name) => [...page.querySelectorAll(".box")]
    .find((it) => it.getAttribute("aria-label").startsWith(name));
  const trail = () => [...page.querySelectorAll("#trail button")].map((it) => it.textContent);
  const key = (on, key) => on.dispatchEvent(new view.KeyboardEvent("keydown", { key, bubbles: true }));
  const click = (on) => on.dispatchEvent(new view.MouseEvent("click", { bubbles: true }));
  const found = { first: trail(), boxes: page.querySelectorAll("svg.map.live .box").length };
  found.labels = [...page.querySelectorAll(".box")].map((it) => it.getAttribute("aria-label"));
  found.texts = [...page.querySelectorAll(".box text")].map((it) => it.textContent);
  for (const it of page.querySelectorAll(".box, td, h1")) {
    it.dispatchEvent(new view.PointerEvent("pointermove", { bubbles: true, clientX: 9, clientY: 9 }));
    it.dispatchEvent(new view.MouseEvent("mouseover", { bubbles: true }));
  }
  box("a.so").dispatchEvent(new view.PointerEvent("pointermove", { bubbles: true, clientX: 9, clientY: 9 }));
  found.tip = page.querySelector("#tip").innerText;
  found.width = box("Python packages").querySelector("rect").getBoundingClientRect().width;
  click(box("Python packages"));
  found.zoomed = trail();
  found.only = [...page.querySelectorAll(".box")].every((it) => it.classList.contains("python"));
  found.wide = box("thing 2").querySelector("rect").getBoundingClientRect().width;
  click(page.querySelector("#trail button"));
  found.back = trail();
  box("Python packages").focus();
  key(page.activeElement, "Enter");
  found.entered = trail();
  found.focused = page.activeElement.getAttribute("aria-label");
  key(page.activeElement, "ArrowDown");
  key(page.activeElement, "Escape");
  found.left = trail();
  found.refocused = page.activeElement.getAttribute("aria-label");
  click(box("a.so"));
  found.leaf = trail();
  key(page, "Escape");
  found.stops = page.querySelectorAll('.box[tabindex="0"]').length;
  found.foreign = page.querySelectorAll("img, link, iframe, object, svg svg, [onerror], [onload]").length;
  found.scripts = page.querySelectorAll("script").length;
  setTimeout(() => {
    found.harm = window.harm ?? null;
    document.querySelector("pre").textContent = JSON.stringify(found);
  }, 300);
});
</script>"""

# Nothing runs in such a frame, and whoever holds it may look into it.
STILL = """<!DOCTYPE html><iframe sandbox="allow-same-origin" src="page.html"></iframe><pre></pre><script>
document.querySelector("iframe").addEventListener("load", (event) => {
  const page = event.target.contentDocument;
  document.querySelector("pre").textContent = JSON.stringify({
    live: page.querySelectorAll(".live").length,
    boxes: page.querySelectorAll("svg.map .box").length,
    titles: [...page.querySelectorAll("svg.map title")].map((it) => it.textContent),
    text: page.body.textContent,
  });
});
</script>"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def send_head(self):
        self.server.asked.append((self.headers["Host"], self.path))
        return super().send_head()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server of the folder `served`, which notes what is asked of it."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(_Handler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def browse(need, tmp_path, server) -> Callable[..., str]:
    """A page of the server as it is after its scripts; whatever host is asked, it is the server."""
    need(shutil.which("chromium"), "chromium is not installed")

    def call(path: str) -> str:
        port = server.server_address[1]
        command = [
            "chromium", "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-features=NetworkTimeServiceQuerying",
            f"--host-resolver-rules=MAP * 127.0.0.1:{port}", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=5000", *(["--no-sandbox"] if os.geteuid() == 0 else []),
            "--dump-dom", f"http://page.example/{path}",
        ]  # fmt: skip
        done = subprocess.run(
            command, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return call


def serve(folder: Path, page: str) -> None:
    (folder / "page.html").write_text(page)
    (folder / "driver.html").write_text(DRIVER)


def result(dumped: str) -> dict[str, object]:
    import html

    found = re.search(r"<pre>(\{.*?\})</pre>", dumped, re.S)
    assert found, dumped
    return json.loads(html.unescape(found[1]))


def test_the_page_in_a_browser(invoke, image, tmp_path, server, browse):
    serve(tmp_path / "served", invoke("image", "size", "example:1", "--html", "-").out)
    found = result(browse("driver.html"))
    assert found["first"] == found["back"] == found["left"] == ["Everything"]
    assert found["zoomed"] == found["entered"] == ["Everything", "Python packages"]
    assert found["only"] is True
    assert found["wide"] > found["width"]
    assert found["focused"].startswith("thing 2, 80.0 kB, ")
    assert found["refocused"].startswith("Python packages, ")
    assert found["leaf"] == ["Everything", "Python packages", "thing 2", "thing"]
    tip = found["tip"].splitlines()
    assert tip[:2] == ["a.so", "Python packages \u203a thing 2 \u203a thing"]
    assert tip[2].startswith("60.0 kB (60000 B), about ")
    assert tip[3].endswith("of the image, 1 file")
    assert found["boxes"] > 8
    assert found["stops"] == 1
    assert "thing 280.0 kB" in found["texts"]
    assert {path for _, path in server.asked} <= {"/driver.html", "/page.html", "/favicon.ico"}
    assert {host for host, _ in server.asked} == {"page.example"}


@pytest.mark.parametrize("policy", [True, False])
def test_hostile_names_do_not_run(invoke, library, tmp_path, server, browse, policy):
    store_image(library, LOWER, {**UPPER, **HOSTILE}, name="example:1")
    page = invoke("image", "size", "example:1", "--html", "-").out
    if not policy:  # escaping has to hold by itself
        page, count = re.subn(r"<meta http-equiv[^>]*>", "", page)
        assert count == 1
    serve(tmp_path / "served", page)
    found = result(browse("driver.html"))
    assert found["harm"] is None
    assert (found["foreign"], found["scripts"]) == (0, 2)
    assert found["zoomed"] == ["Everything", "Python packages"]
    assert any(label.startswith(f"/work/{EVIL}, 5.0 kB") for label in found["labels"])
    assert {path for _, path in server.asked} <= {"/driver.html", "/page.html", "/favicon.ico"}


def test_the_page_without_scripts(invoke, image, tmp_path, browse):
    serve(tmp_path / "served", invoke("image", "size", "example:1", "--html", "-").out)
    (tmp_path / "served/still.html").write_text(STILL)
    found = result(browse("still.html"))
    assert found["live"] == 0
    assert found["boxes"] > 8
    assert any(title.startswith("thing 2, 80.0 kB, ") for title in found["titles"])
    assert "Biggest packages" in found["text"]
