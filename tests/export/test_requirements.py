"""What pip reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.export.project import lock, wheel

from wardian.export.requirements import requirements_text
from wardian.project.detect import detect
from wardian.project.initial import write_initial


def test_every_package_with_its_hash() -> None:
    text = requirements_text(lock(packages=(wheel("a-b"), wheel("six", "1!1.0+local"))))
    assert text == (
        "# Written by wardian from wardian.lock, for linux/amd64, Python 3.13.5.\n"
        "# pip install --no-deps --require-hashes -r requirements.txt\n"
        f"a-b==2.0 \\\n    --hash=sha256:{'cd' * 32}\n"
        f"six==1!1.0+local \\\n    --hash=sha256:{'cd' * 32}\n"
    )


def test_what_is_exported_changes_nothing_that_is_detected(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import six\n")
    before = detect(tmp_path)
    (tmp_path / "requirements.txt").write_text(requirements_text(lock()))
    after = detect(tmp_path)
    assert (after.spec, after.lock_digest) == (before.spec, before.lock_digest)
    assert "requirements.txt" in after.sources[0]
    write_initial(tmp_path)
    assert detect(tmp_path).spec == before.spec


def test_versions_alone() -> None:
    assert requirements_text(lock(), hashes=False).splitlines()[1:] == [
        "# pip install --no-deps -r requirements.txt",
        "six==2.0",
    ]


def test_a_lock_without_python() -> None:
    text = requirements_text(replace(lock(), python=None))
    assert text.splitlines()[0] == "# Written by wardian from wardian.lock, for linux/amd64."
    assert all(line.startswith("#") for line in text.splitlines())
