"""What lies above all packages, so that the tree is what configuring left."""

from __future__ import annotations

from wardian.build.tree import compose
from wardian.image.entry import Entry


def file(path: str, **more) -> Entry:
    return Entry(path=path, kind="file", **more)


def folder(path: str, **more) -> Entry:
    return Entry(path=path, kind="directory", **{"mode": 0o755, **more})


def test_changes_are_kept_in_path_order() -> None:
    changes = (file("var/b"), file("etc/a"))
    assert compose([([(file("usr/x"),)], changes)]) == (changes[1], changes[0])


def test_a_change_of_a_later_stage_takes_the_place_of_an_earlier_one() -> None:
    first, second = file("etc/passwd", size=1), file("etc/passwd", size=2)
    assert compose([([], (first,)), ([], (second,))]) == (second,)


def test_what_a_later_package_brings_voids_an_earlier_change() -> None:
    made, gone = file("etc/made"), Entry(path="etc/gone", kind="whiteout")
    assert compose([([], (made, gone)), ([(file("etc/made"), file("etc/gone"))], ())]) == ()


def test_a_folder_that_a_later_package_ships_again_is_there() -> None:
    gone = Entry(path="var/spool", kind="whiteout")
    assert compose([([(folder("var/spool"),)], (gone,)), ([(folder("var/spool"),)], ())]) == ()


def test_folders_have_the_attributes_that_their_first_package_gave_them() -> None:
    mine, theirs = folder("var/mail", mode=0o2775, gid=8), folder("var/mail")
    assert compose([([(mine,), (theirs,)], ())]) == (mine,)
    assert compose([([(theirs,), (theirs,)], ())]) == ()
    # Whichever of these three has its layer above the others'.
    assert compose([([(mine,), (theirs,), (mine,)], ())]) == (mine,)


def test_a_changed_folder_stays_as_it_was_changed() -> None:
    changed = folder("var/mail", mode=0o700)
    stages = [([(folder("var/mail"),), (folder("var/mail", mode=0o775),)], (changed,))]
    assert compose(stages) == (changed,)


def test_folders_that_lead_to_what_is_kept_come_with_it() -> None:
    """In a layer without them, engines make them with attributes of their own, which then count."""
    home = folder("root", mode=0o700)
    made = file("root/.profile")
    assert compose([([(home, folder("etc"))], (made,))]) == (home, made)
    gone = Entry(path="root/.profile", kind="whiteout")
    assert compose([([(home, made)], (gone,))]) == (home, gone)
