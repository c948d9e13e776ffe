"""What no image gets of a project unless `[image] include` spells its name: by-products, and secrets.

Patterns as .gitignore has them. Nothing here walks a folder.
"""

from __future__ import annotations

import io
import os

from wardian.project.gitignore import parse_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from wardian.project.wildcards import Patterns

# What tools make beside the work: version control, byte code, environments, packages of other tools,
# caches, results of runs (wardian's own, at the top), what a killed wardian leaves of an output, editors' and
# desktops' files.
_BY_PRODUCTS = """
.git .hg .svn .bzr .jj CVS/
__pycache__/ *.py[co]
.venv .pixi .conda node_modules
.ipynb_checkpoints/ .virtual_documents/
.mypy_cache/ .pytest_cache/ .ruff_cache/ .tox/ .nox/ .hypothesis/ .pytype/ .pyre/ .eggs/
/runs/
.idea/ .vscode/ .spyproject/ .Rproj.user/
*.[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].tmp
*.swp *.swo *~ .#* \\#*# .~lock.*# .nfs*
.DS_Store Thumbs.db desktop.ini
"""

# Names under which tools keep passwords, tokens and private keys.
_SECRETS = """
.env .env.* !.env.example !.env.sample !.env.template !.env.dist !.env.defaults .envrc
id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk
*.p12 *.pfx *.jks *.keystore *.kdbx *.ppk
.netrc _netrc .pypirc .npmrc .pgpass .my.cnf .htpasswd .git-credentials .dockercfg .s3cfg .boto
.databrickscfg .vault-token .Renviron
credentials.json client_secret*.json service-account*.json service_account*.json
application_default_credentials.json kubeconfig *.tfstate *.tfvars
**/.streamlit/secrets.toml **/.docker/config.json secrets.yaml secrets.yml secrets.json
.ssh/ .aws/ .azure/ .gnupg/ .kube/
"""

# Certificates and data have these endings too, so that the content has to say which it is.
_PERHAPS_KEYS = (b".pem", b".key", b".json")
_LARGEST_KEY = 64 << 10
_KEY = b"PRIVATE KEY-----"

# Cache Directory Tagging Specification: what a cache's CACHEDIR.TAG begins with.
_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"


def by_products() -> Patterns:
    """Return the patterns of what tools make."""
    return parse_texts(_BY_PRODUCTS.split())


def secrets() -> Patterns:
    """Return the patterns of what holds secrets by its name."""
    return parse_texts(_SECRETS.split())


def is_environment_or_cache(folder: bytes, names: Collection[bytes]) -> bool:
    """Tell a virtual environment, a conda environment and a tagged cache by what lies in the folder."""
    if b"pyvenv.cfg" in names or b"conda-meta" in names:
        return True
    return b"CACHEDIR.TAG" in names and _begins(os.path.join(folder, b"CACHEDIR.TAG"))


def _begins(path: bytes) -> bool:
    try:
        with open_file(path) as file:
            return file.read(len(_CACHE_TAG)) == _CACHE_TAG
    except OSError:
        return False


def holds_key(path: bytes, size: int) -> bool:
    """Tell whether a file with a key's ending holds a private key; raises OSError where it cannot be read."""
    if size > _LARGEST_KEY or not path.endswith(_PERHAPS_KEYS):
        return False
    with open_file(path) as file:
        return _KEY in file.read(_LARGEST_KEY)


def open_file(path: bytes) -> io.FileIO:
    """Open a file to read, but neither a link nor a pipe that took its place since it was looked at."""
    return io.FileIO(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
