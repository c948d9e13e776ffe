"""Credential helpers: `docker-credential-NAME` with `get`, `store`, `erase` and `list`.

The protocol is docker-credential-helpers': words and JSON on standard input and output; on failure a status
and one line on standard output.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from wardian.errors import CredentialsError
from wardian.registry.credential import TOKEN_USER, Credential

# Seconds: some helpers ask the user for a password.
_PATIENCE = 300
# What helpers answer where they have nothing: the protocol has no other sign for it.
_NOTHING = ("credentials not found", "no credentials server url", "not found in keychain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """The helper NAME, which the file `source` names."""

    name: str
    source: str
    environment: Mapping[str, str]

    @property
    def program(self) -> str:
        """What it is called on the search path."""
        return f"docker-credential-{self.name}"

    def get(self, server: str) -> Credential | None:
        """What it has for `server`, if anything; raises CredentialsError."""
        answer = self._call("get", server)
        if answer is None:
            return None
        try:
            found = json.loads(answer)
            user, secret = found["Username"], found["Secret"]
        except (ValueError, KeyError, TypeError):
            raise self._failure("get", "it answers something that is no credential") from None
        if not isinstance(user, str) or not isinstance(secret, str):
            raise self._failure("get", "it answers something that is no credential")
        if not secret:
            return None
        if user == TOKEN_USER:
            return Credential(identity_token=secret)
        return Credential(user=user, password=secret)

    def store(self, server: str, credential: Credential) -> None:
        """Keep `credential` for `server`; raises CredentialsError."""
        user = TOKEN_USER if credential.identity_token else credential.user
        secret = credential.identity_token or credential.password
        self._call("store", json.dumps({"ServerURL": server, "Username": user, "Secret": secret}))

    def erase(self, server: str) -> bool:
        """Forget what it has for `server`; whether there was anything. Raises CredentialsError."""
        if self._call("get", server) is None:
            return False
        self._call("erase", server)
        return True

    def servers(self) -> tuple[str, ...]:
        """For which servers it has anything; raises CredentialsError."""
        try:
            found = json.loads(self._call("list", "") or "{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._failure("list", "it answers something that is no list")
        return tuple(found)

    def _call(self, action: str, text: str) -> str | None:
        program = shutil.which(self.program, path=self.environment.get("PATH", ""))
        if program is None:
            raise CredentialsError(
                f"the credential helper {self.program}, which {self.source} names, is not installed",
                hint=f"install it, or take {self.name!r} out of {self.source}",
            )
        try:
            done = subprocess.run(
                [program, action],
                input=text.encode(),
                env=dict(self.environment),
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = getattr(error, "strerror", None) or f"no answer in {_PATIENCE} s"
            raise self._failure(action, reason) from None
        said = done.stdout.decode(errors="replace")
        if done.returncode == 0:
            return said
        if any(sign in said.lower() for sign in _NOTHING):
            return None
        # What it was told on standard input is never repeated, nor what it may say of it.
        first = said.strip() or done.stderr.decode(errors="replace").strip()
        raise self._failure(action, _first_line(first) if action != "store" else f"status {done.returncode}")

    def _failure(self, action: str, reason: str) -> CredentialsError:
        return CredentialsError(
            f"the credential helper {self.program}, which {self.source} names, fails at `{action}`: {reason}",
            hint=f"mend it, or take {self.name!r} out of {self.source}",
        )


def _first_line(text: str) -> str:
    line = text.splitlines()[0] if text else "it says nothing"
    return re.sub(r"[^\x20-\x7e]", "?", line)[:200]
