"""What is built is a Debian system, in which Debian's own tools work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Bench
from .machine import Account, expect, refused


def test_dpkg_knows_every_locked_package_as_installed(bench: Bench) -> None:
    listed = dict(
        line.split()[:3:2]
        for line in bench.sh("dpkg-query -W -f '${Package} x ${Version} ${Status}\\n'").splitlines()
    )
    locked = dict(
        re.findall(
            r'\{ name = "([^"]+)", version = "([^"]+)", architecture',
            (bench.folder / "wardian.lock").read_text(),
        )
    )
    assert listed == locked
    states = bench.sh("dpkg -l | tail -n +6 | cut -c 1-3 | sort -u")
    assert states == "ii \n"


@pytest.mark.parametrize("options", [[], ["--root"]])
def test_dpkg_verifies_every_file(bench: Bench, options: list[str]) -> None:
    result = expect(bench.wardian("run", *options, "--", "dpkg", "--verify"))
    assert (result.stdout, result.stderr) == ("", "")


def test_dpkg_audits_nothing(bench: Bench) -> None:
    assert bench.sh("dpkg --audit") == ""
    assert bench.sh("dpkg --configure -a && apt-get check -qq 2>&1", "--root") == ""


def test_certificates_are_there(bench: Bench) -> None:
    script = "import ssl; c = ssl.create_default_context(); print(len(c.get_ca_certs()))"
    assert int(bench.run("--", "env", "-u", "SSL_CERT_FILE", "python", "-c", script)) > 100
    assert bench.sh("grep -c BEGIN /etc/ssl/certs/ca-certificates.crt").strip().isdigit()


def test_the_locale_is_utf_8_and_the_time_zones_are_there(bench: Bench) -> None:
    script = (
        "import locale, sys, datetime, zoneinfo\n"
        "print(locale.setlocale(locale.LC_ALL, ''), sys.getfilesystemencoding(), 'ï☃')\n"
        "print(datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Vienna')).isoformat())"
    )
    said = bench.run("--", "python", "-c", script, env={"LANG": "de_AT.ISO-8859-1", "LC_ALL": "POSIX"})
    assert said.splitlines() == ["C.UTF-8 utf-8 ï☃", "2026-07-01T00:00:00+02:00"]
    assert bench.sh("TZ=America/New_York date -d @0 +%H:%M; date +%Z") == "19:00\nUTC\n"


def test_packages_can_be_installed_with_apt_get(bench: Bench) -> None:
    script = "apt-get update -qq && apt-get install -y -qq tree >&2 && tree --version && dpkg --verify"
    assert re.match(r"tree v\d", bench.sh(script, "--root"))
    assert bench.sh("command -v tree || echo gone") == "gone\n"


def test_installed_packages_stay_in_a_kept_root(plain_bench: Bench) -> None:
    plain_bench.sh("apt-get update -qq && apt-get install -y -qq tree >&2", "--root", "--keep", "tools")
    assert plain_bench.sh("tree --version", "--keep", "tools").startswith("tree v")


def test_no_addresses_of_this_machine_are_in_the_image(bench: Bench) -> None:
    image = bench.account.build(bench.folder)
    vendor = "debian"  # whose own well-known address is there, as in its own images
    for path in bench.account.snapshots(image).values():
        for sources in (path / "root").glob("etc/apt/sources.list.d/*"):
            assert set(re.findall("URIs: (.*)", sources.read_text())) == {
                f"http://deb.{vendor}.org/{vendor}{archive}" for archive in ("", "-security")
            }
        for name in ("etc/hostname", "etc/resolv.conf", "etc/machine-id"):
            file = path / "root" / name
            assert not file.exists() or file.read_text() in ("", "uninitialized\n"), file


def test_the_passwords_are_locked_and_the_user_is_known(bench: Bench) -> None:
    users = {line.split(":")[0]: line.split(":") for line in bench.sh("cat /etc/passwd").splitlines()}
    assert users["user"][2:4] == ["1000", "1000"]
    assert users["user"][5] == "/home/user"
    assert users["root"][2] == "0"
    shadow = bench.sh("cat /etc/shadow", "--root")
    assert all(line.split(":")[1] in ("*", "!", "!*", "!!") for line in shadow.splitlines())


def test_an_image_is_run_by_a_user_that_it_has(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": '[image]\nuser = "www-data:users"\n[python]\npackages = ["six"]\n'})
    told = expect(plain.wardian("image", "inspect", "--json", cwd=folder)).stdout
    assert json.loads(told)["config"]["config"]["User"] == "www-data:users"
    for user, known in (("webb", "user 'webb'; it has _apt, "), ("user:no", "group 'no'; it has adm, ")):
        (folder / "wardian.toml").write_text(f'[image]\nuser = "{user}"\n[python]\npackages = ["six"]\n')
        said = refused(plain.wardian("image", "inspect", cwd=folder))
        assert f"error: image.user: the image has no {known}" in said
        assert said.endswith("\n\nhint: name one that it has, or a number\n")


def test_a_lock_is_free_of_addresses_and_verifies_itself(bench: Bench) -> None:
    text = (bench.folder / "wardian.lock").read_text()
    assert "://" not in text
    assert str(bench.account.home) not in text
    assert len(re.findall(r'sha256 = "[0-9a-f]{64}"', text)) > 50


@pytest.mark.slow
def test_bookworm_can_be_the_base(
    plain: Account, project: Callable[..., Path], wardian: Callable[..., object]
) -> None:
    folder = project({"wardian.toml": 'base = "debian:bookworm"\n[python]\npackages = ["six"]\n'})
    image = plain.build(folder)
    assert {part["name"] for part in image["built"]} >= {"base", "python"}
    here = Bench(plain, folder)
    assert here.sh(". /etc/os-release; echo $VERSION_CODENAME") == "bookworm\n"
    assert (
        here.run("--", "python", "-c", "import sys, six; print(*sys.version_info[:2], six.__name__)")
        == "3 11 six\n"
    )
    assert expect(here.wardian("run", "--", "dpkg", "--verify")).stdout == ""
    assert here.sh("apt-get update -qq && apt-get install -y -qq tree >&2 && tree --version", "--root")


def test_a_project_without_python_has_none(plain: Account, project: Callable[..., Path]) -> None:
    folder = project({"wardian.toml": '[system]\npackages = ["file"]\n'})
    image = plain.build(folder)
    parts = [*image["reused"], *image["built"]]
    assert [part["name"] for part in parts] == ["base", "system"]
    here = Bench(plain, folder)
    assert here.sh("file -b /bin/sh; command -v python3 || echo none").splitlines()[-1] == "none"
    assert json.loads(expect(here.wardian("build", "--json")).stdout)["built"] == []
