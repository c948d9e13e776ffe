"""Where credentials are found and kept: files and helpers of other tools."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest

from wardian.errors import CredentialsError
from wardian.registry.credential import HUB_KEY, Credential, canonical, scopes_of
from wardian.registry.credentials import find_credentials

# "me:secret", "you:other", "team:third"
ME, YOU, TEAM = "bWU6c2VjcmV0", "eW91Om90aGVy", "dGVhbTp0aGlyZA=="

HELPER = """\
#!{python}
import json, os, sys
path = os.path.join(os.path.dirname(__file__), "stored.json")
stored = json.load(open(path)) if os.path.exists(path) else {{}}
action, text = sys.argv[1], sys.stdin.read()
if action == "get":
    if text not in stored:
        print("credentials not found in native keychain")
        sys.exit(1)
    print(json.dumps(stored[text]))
elif action == "store":
    entry = json.loads(text)
    stored[entry["ServerURL"]] = entry
elif action == "erase":
    stored.pop(text)
elif action == "list":
    print(json.dumps({{server: entry["Username"] for server, entry in stored.items()}}))
json.dump(stored, open(path, "w"))
"""


@pytest.fixture
def write(tmp_path):
    """`write("home/.docker/config.json", {...})`"""

    def call(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return call


@pytest.fixture
def environment(tmp_path):
    return {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{tmp_path}/bin",
        "XDG_RUNTIME_DIR": str(tmp_path / "passing"),
    }


@pytest.fixture
def helper(tmp_path):
    """A credential helper `test`; what it has stored."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-test"
    program.write_text(HELPER.format(python=sys.executable))
    program.chmod(0o755)

    def stored(content=None):
        path = folder / "stored.json"
        if content is not None:
            path.write_text(json.dumps(content))
        return json.loads(path.read_text()) if path.exists() else {}

    return stored


def test_nothing_is_there(environment):
    assert find_credentials(environment).find("registry.example") is None
    assert find_credentials({}).find("registry.example") is None


def test_the_file_of_docker(environment, write):
    write("home/.docker/config.json", {"auths": {"registry.example:5000": {"auth": ME}}})
    found = find_credentials(environment)
    assert found.find("registry.example:5000", "a/b") == Credential(user="me", password="secret")
    assert found.find("registry.example") is None


def test_the_order_of_files(environment, write, tmp_path):
    def entry(auth):
        return {"auths": {"r.example": {"auth": auth}}}

    def user(**more):
        return find_credentials({**environment, **more}).find("r.example").user

    write("home/.docker/config.json", entry(ME))
    assert user() == "me"
    write("home/.config/containers/auth.json", entry(YOU))
    assert user() == "you"
    write("run/containers/auth.json", entry(TEAM))
    assert user(XDG_RUNTIME_DIR=str(tmp_path / "run")) == "team"
    write("docker/config.json", entry(ME))
    assert user(DOCKER_CONFIG=str(tmp_path / "docker")) == "me"
    write("only.json", entry(YOU))
    everything = {"DOCKER_CONFIG": str(tmp_path / "docker"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert user(REGISTRY_AUTH_FILE=str(tmp_path / "only.json"), **everything) == "you"
    write("only.json", {})
    only = find_credentials({**environment, **everything, "REGISTRY_AUTH_FILE": str(tmp_path / "only.json")})
    assert only.find("r.example") is None


def test_the_containers_tools_file_without_a_runtime_folder(environment, write, tmp_path):
    run = str(tmp_path / "run")
    del environment["XDG_RUNTIME_DIR"]
    found = find_credentials(environment, run=run)
    assert found.find("r.example") is None
    assert found.put("r.example", Credential(user="me", password="secret")).endswith("/.docker/config.json")
    assert not (tmp_path / "run").exists()
    path = write(f"run/{os.getuid()}/auth.json", {"auths": {"r.example": {"auth": YOU}}})
    found = find_credentials(environment, run=run)
    assert found.find("r.example").user == "you"
    assert found.remove_all() == ("r.example",)
    assert json.loads(path.read_text()) == {"auths": {}}
    path.write_text(json.dumps({"auths": {"r.example": {"auth": YOU}}}))
    passing = {**environment, "XDG_RUNTIME_DIR": str(tmp_path / "passing")}
    assert find_credentials(passing, run=run).find("r.example") is None


@pytest.mark.parametrize(
    "key", [HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v2/"]
)
def test_the_hubs_names(environment, write, key):
    write("home/.docker/config.json", {"auths": {key: {"auth": ME}}})
    assert find_credentials(environment).find("docker.io", "library/a").user == "me"


def test_entries_for_a_part_of_a_registry(environment, write):
    entries = {"r.example": {"auth": ME}, "r.example/team": {"auth": TEAM}, "r.example/team/a": {"auth": YOU}}
    write("home/.config/containers/auth.json", {"auths": entries})
    found = find_credentials(environment)
    assert [found.find("r.example", name).user for name in ("b", "team/b", "team/a/x", "teams/a")] == [
        "me",
        "team",
        "you",
        "me",
    ]


def test_tokens_and_plain_names(environment, write):
    entries = {
        "a.example": {"auth": "dTo=", "identitytoken": "abc"},
        "b.example": {"registrytoken": "def"},
        "c.example": {"username": "me", "password": "secret"},
        "d.example": {},
    }
    write("home/.docker/config.json", {"auths": entries})
    found = find_credentials(environment)
    assert found.find("a.example") == Credential(user="u", identity_token="abc")
    assert found.find("b.example") == Credential(registry_token="def")
    assert found.find("c.example") == Credential(user="me", password="secret")
    assert found.find("d.example") is None


@pytest.mark.parametrize("auth", ["%%%", "bWU=", "/w=="])
def test_an_entry_that_is_damaged(environment, write, auth):
    path = write("home/.docker/config.json", {"auths": {"r.example": {"auth": auth}}})
    with pytest.raises(CredentialsError) as caught:
        find_credentials(environment).find("r.example")
    assert (
        caught.value.message
        == f"{path}: the entry of r.example: its `auth` is not the base64 of USER:PASSWORD"
    )


@pytest.mark.parametrize("text", ["nonsense", "[]", "3", '{"auths": []}', '{"credHelpers": 1}', "[" * 99999])
def test_a_file_that_is_none(environment, tmp_path, text):
    (tmp_path / "home/.docker").mkdir(parents=True)
    (tmp_path / "home/.docker/config.json").write_text(text)
    with pytest.raises(CredentialsError, match="is no file of credentials"):
        find_credentials(environment).find("r.example")


def test_putting_keeps_what_else_is_there(environment, write):
    path = write(
        "home/.docker/config.json", {"detachKeys": "x", "auths": {"a.example": {"auth": YOU, "email": "e"}}}
    )
    path.chmod(0o644)
    place = find_credentials(environment).put("b.example", Credential(user="me", password="secret"))
    assert place == str(path)
    assert json.loads(path.read_text()) == {
        "detachKeys": "x",
        "auths": {"a.example": {"auth": YOU, "email": "e"}, "b.example": {"auth": ME}},
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["config.json"]


def test_putting_where_nothing_is(environment, tmp_path):
    previous = os.umask(0)
    try:
        find_credentials(environment).put("docker.io", Credential(user="me", password="secret"))
    finally:
        os.umask(previous)
    path = tmp_path / "home/.docker/config.json"
    assert json.loads(path.read_text()) == {"auths": {HUB_KEY: {"auth": ME}}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_putting_goes_where_it_is_read(environment, write):
    """An entry in a file that is read earlier would hide the new one."""
    docker = write("home/.docker/config.json", {})
    other = write("home/.config/containers/auth.json", {"auths": {"docker.io": {"auth": YOU}}})
    found = find_credentials(environment)
    assert found.put("docker.io", Credential(user="me", password="secret")) == str(other)
    assert json.loads(other.read_text()) == {"auths": {"docker.io": {"auth": ME}}}
    assert json.loads(docker.read_text()) == {}
    assert found.find("docker.io").user == "me"


def test_putting_through_a_link(environment, write, tmp_path):
    real = write("elsewhere/config.json", {"a": 1})
    (tmp_path / "home/.docker").mkdir(parents=True)
    (tmp_path / "home/.docker/config.json").symlink_to(real)
    find_credentials(environment).put("r.example", Credential(user="me", password="secret"))
    assert (tmp_path / "home/.docker/config.json").is_symlink()
    assert json.loads(real.read_text())["auths"] == {"r.example": {"auth": ME}}


def test_removing(environment, write):
    docker = write(
        "home/.docker/config.json", {"x": 1, "auths": {HUB_KEY: {"auth": ME}, "b.example": {"auth": YOU}}}
    )
    entries = {"docker.io": {"auth": YOU}, "b.example": {"auth": ME}, "a.example/team": {"auth": TEAM}}
    other = write("home/.config/containers/auth.json", {"auths": entries})
    found = find_credentials(environment)
    assert found.remove("docker.io")
    assert not found.remove("docker.io")
    assert json.loads(docker.read_text()) == {"x": 1, "auths": {"b.example": {"auth": YOU}}}
    assert json.loads(other.read_text())["auths"].keys() == {"b.example", "a.example/team"}
    assert found.remove_all() == ("a.example/team", "b.example")
    assert json.loads(docker.read_text()) == {"x": 1, "auths": {}}
    assert json.loads(other.read_text()) == {"auths": {}}
    assert found.remove_all() == ()


def test_removing_makes_no_file(environment, tmp_path):
    assert not find_credentials(environment).remove("r.example")
    assert not (tmp_path / "home").exists()


def test_a_helper_for_all(environment, write, helper):
    path = write("home/.docker/config.json", {"credsStore": "test", "auths": {"r.example": {}}})
    found = find_credentials(environment)
    assert found.find("r.example") is None
    assert found.put("r.example", Credential(user="me", password="secret")) == "docker-credential-test"
    assert found.put("docker.io", Credential(identity_token="abc")) == "docker-credential-test"
    assert helper() == {
        "r.example": {"ServerURL": "r.example", "Username": "me", "Secret": "secret"},
        HUB_KEY: {"ServerURL": HUB_KEY, "Username": "<token>", "Secret": "abc"},
    }
    assert "secret" not in path.read_text()
    assert found.find("r.example", "a") == Credential(user="me", password="secret")
    assert found.find("docker.io", "library/a") == Credential(identity_token="abc")
    assert found.remove("r.example")
    assert found.remove_all() == ("docker.io",)
    assert helper() == {}


def test_a_helper_for_one_registry(environment, write, helper):
    entries = {"auths": {"b.example": {"auth": YOU}}, "credHelpers": {"a.example": "test"}}
    write("home/.docker/config.json", entries)
    helper({"a.example": {"Username": "me", "Secret": "secret"}})
    found = find_credentials(environment)
    assert found.find("a.example").user == "me"
    assert found.find("b.example").user == "you"


def test_a_helper_that_is_missing(environment, write):
    path = write("home/.docker/config.json", {"credsStore": "desktop"})
    with pytest.raises(CredentialsError) as caught:
        find_credentials(environment).find("r.example")
    program = "docker-credential-desktop"
    assert caught.value.message == f"the credential helper {program}, which {path} names, is not installed"
    assert caught.value.hint == f"install it, or take 'desktop' out of {path}"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'the keyring is locked'; exit 1", "fails at `get`: the keyring is locked"),
        ("echo oops >&2; exit 3", "fails at `get`: oops"),
        ("exit 3", "fails at `get`: it says nothing"),
        ("echo nonsense", "it answers something that is no credential"),
        ("echo '[]'", "it answers something that is no credential"),
        ('echo \'{"Username": 1, "Secret": "s"}\'', "it answers something that is no credential"),
    ],
)
def test_a_helper_that_fails(environment, write, tmp_path, script, said):
    write("home/.docker/config.json", {"credsStore": "bad"})
    program = tmp_path / "bin/docker-credential-bad"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(CredentialsError) as caught:
        find_credentials(environment).find("r.example")
    assert said in caught.value.message


def test_a_helper_that_repeats_what_it_was_told(environment, write, tmp_path):
    write("home/.docker/config.json", {"credHelpers": {"r.example": "bad"}})
    program = tmp_path / "bin/docker-credential-bad"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$1" = get ] && echo "credentials not found"\n'
        'while read -r line; do echo "$line"; done\nexit 1\n'
    )
    program.chmod(0o755)
    with pytest.raises(CredentialsError) as caught:
        find_credentials(environment).put("r.example", Credential(user="me", password="secret"))
    assert "secret" not in caught.value.message


def test_names_of_registries():
    assert canonical("https://R.example:5000/v2/") == "r.example:5000"
    assert canonical("R.example/v1/") == "r.example"
    assert canonical("r.example:5000/v2/") == "r.example:5000"
    assert canonical("r.example/v1") == "r.example/v1"
    assert canonical("r.example/team/v1/") == "r.example/team/v1"
    assert canonical("index.docker.io/v1/") == canonical(HUB_KEY) == canonical("docker.io/") == "docker.io"
    assert canonical("r.example/team/v1") == "r.example/team/v1"
    assert canonical("docker.io/team/v2") == "docker.io/team/v2"
    assert canonical("r.example/Team/x") == "r.example/Team/x"
    assert scopes_of("r.example", "a/b") == ("r.example/a/b", "r.example/a", "r.example")


def test_half_characters_of_others_stay(environment, write):
    path = write("home/.docker/config.json", {"HttpHeaders": {"x": "\ud800"}})
    find_credentials(environment).put("registry.example", Credential(user="me", password="secret"))
    content = json.loads(path.read_text())
    assert content["HttpHeaders"] == {"x": "\ud800"}
    assert content["auths"]["registry.example"] == {"auth": ME}


def test_a_pipe_is_not_waited_for(environment, tmp_path):
    folder = tmp_path / "home/.docker"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "config.json")
    with pytest.raises(CredentialsError, match=r"config\.json: it is no regular file"):
        find_credentials(environment).find("registry.example")


def test_the_null_device_holds_no_credentials(environment):
    environment["REGISTRY_AUTH_FILE"] = os.devnull
    assert find_credentials(environment).find("registry.example") is None
