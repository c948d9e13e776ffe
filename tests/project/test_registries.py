"""What the user's configuration says of registries."""

from __future__ import annotations

import pytest

from wardian.errors import SpecError
from wardian.project.configuration import read_configuration
from wardian.registry.settings import RegistrySettings


@pytest.fixture
def read(tmp_path):
    def call(text="", **environment):
        (tmp_path / "config.toml").write_text(text)
        return read_configuration({"WARDIAN_CONFIG": str(tmp_path / "config.toml"), **environment}).registries

    return call


def test_a_file_that_is_not_there(tmp_path):
    assert read_configuration({"HOME": str(tmp_path)}).registries == {}  # nobody said that there was one
    path = tmp_path / "config.tml"
    with pytest.raises(SpecError) as caught:
        read_configuration({"HOME": str(tmp_path), "WARDIAN_CONFIG": str(path)})
    assert caught.value.message == f"the configuration that WARDIAN_CONFIG names does not exist: {path}"
    assert caught.value.hint == "set WARDIAN_CONFIG to the file that is meant, or unset it"


def test_mirrors_and_exceptions(read):
    text = """
    [registries."docker.io"]
    mirrors = ["mirror.example", "other.example:5000/hub"]
    [registries."Other.example:5000"]
    insecure = true
    """
    assert read(text) == {
        "docker.io": RegistrySettings(mirrors=("mirror.example", "other.example:5000/hub")),
        "other.example:5000": RegistrySettings(insecure=True),
    }


def test_variables_win(read):
    text = '[registries."docker.io"]\nmirrors = ["mirror.example"]\ninsecure = true'
    found = read(
        text,
        WARDIAN_REGISTRY_MIRRORS="docker.io=a.example docker.io=b.example",
        WARDIAN_REGISTRY_INSECURE="c.example:1",
    )
    assert found == {
        "docker.io": RegistrySettings(mirrors=("a.example", "b.example"), insecure=True),
        "c.example:1": RegistrySettings(insecure=True),
    }


def test_nothing_is_said(read):
    assert read() == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("registries = 1", "registries is no table"),
        ('[registries]\n"a.example" = 1', "wrong type"),
        ('[registries."https://a.example"]', "'https://a.example' is no registry"),
        ('[registries."a.example/b"]', "'a.example/b' is no registry"),
        ('[registries."a.example"]\nmirrors = "b"', "wrong type at 'mirrors'"),
        ('[registries."a.example"]\ninsecure = 1', "wrong type at 'insecure'"),
        ('[registries."a.example"]\nmirror = ["b"]', "an unknown key"),
        ('[registries."a.example"]\nmirrors = ["http://b"]', "a mirror of a.example: 'http:' is no registry"),
        ('[registries."a.example"]\nmirrors = ["b/../c"]', "is no repository's name"),
    ],
)
def test_what_cannot_be(read, text, said):
    with pytest.raises(SpecError, match=said.replace(".", r"\.")):
        read(text)


@pytest.mark.parametrize("name", ["WARDIAN_REGISTRY_MIRRORS", "WARDIAN_REGISTRY_INSECURE"])
def test_variables_that_mean_nothing(read, name):
    with pytest.raises(SpecError, match=name):
        read(**{name: "x y=http://z"})
