"""Users, passwords and tokens, with registries that want them."""

from __future__ import annotations

import base64
import os
import time

import pytest

from wardian.errors import CredentialsError, RegistryError
from wardian.image.reference import Reference
from wardian.registry.credential import Credential
from wardian.registry.pull import pull
from wardian.registry.push import Push, Traffic
from wardian.registry.scope import Scope

from .by_the_book import running_book
from .conftest import PLATFORM, make_image, push
from .proxy import running_proxy
from .servers import PASSWORD, USER


@pytest.fixture
def made(library):
    return make_image(library, os.urandom(2000), os.urandom(3000))


@pytest.fixture(params=["basic", "token"])
def host(request):
    return request.getfixturevalue({"basic": "guarded", "token": "tokened"}[request.param]).host


def test_with_credentials(host, library, other_library, made, open_registry, someone, name):
    push(open_registry(host, credential=someone), f"{host}/{name}:1", made, library)
    registry = open_registry(host, credential=someone)
    image = pull(registry, Reference.parse(f"{host}/{name}:1"), other_library, platform=PLATFORM)
    assert image.descriptor == made.descriptor


def test_wrong_credentials(host, open_registry, name):
    wrong = Credential(user=USER, password="not the password")
    registry = open_registry(host, credential=wrong)
    with (
        pytest.raises(CredentialsError) as caught,
        Push(registry, Reference.parse(f"{host}/{name}:1")) as done,
    ):
        done.finish(b"{}", "application/json")
    assert f"{host} does not accept the user name 'someone' and its password" in caught.value.message
    assert caught.value.hint == f"run `wardian login {host}` with credentials that hold"
    assert "not the password" not in str(caught.value) + str(caught.value.hint)


def test_no_credentials_for_a_push(guarded, open_registry, name):
    with (
        pytest.raises(CredentialsError) as caught,
        Push(open_registry(guarded.host), Reference.parse(f"{guarded.host}/{name}:1")),
    ):
        pass
    said = f"cannot push to {guarded.host}: {guarded.host} wants credentials, and there are none for it"
    assert caught.value.message == said
    assert caught.value.hint == f"run `wardian login {guarded.host}`"
    assert caught.value.exit_status == 1


def test_no_credentials_for_a_pull(guarded, other_library, open_registry, name):
    reference = Reference.parse(f"{guarded.host}/{name}:1")
    with pytest.raises(CredentialsError) as caught:
        pull(open_registry(guarded.host), reference, other_library, platform=PLATFORM)
    assert caught.value.message.startswith(f"cannot pull {reference}: {guarded.host} wants credentials")


def test_an_anonymous_token_may_pull_and_not_push(
    tokened, token_server, library, other_library, made, open_registry, someone, name
):
    reference = f"{tokened.host}/{name}:1"
    push(open_registry(tokened.host, credential=someone), reference, made, library)
    image = pull(open_registry(tokened.host), Reference.parse(reference), other_library, platform=PLATFORM)
    assert image.descriptor == made.descriptor
    more = make_image(library, os.urandom(100))
    with pytest.raises(CredentialsError) as caught:
        push(open_registry(tokened.host), reference, more, library)
    assert "wants credentials, and there are none for it" in caught.value.message
    assert caught.value.hint == f"run `wardian login {tokened.host}`"


def test_a_user_who_may_not_push(tokened, token_server, library, made, open_registry, someone, name):
    token_server.known = ("pull",)
    with pytest.raises(CredentialsError) as caught:
        push(open_registry(tokened.host, credential=someone), f"{tokened.host}/{name}:1", made, library)
    assert f"{tokened.host} does not allow it to 'someone'" in caught.value.message
    assert caught.value.hint == f"run `wardian login {tokened.host}` as a user who may"


def test_what_nobody_may_see(tokened, token_server, other_library, open_registry, name):
    token_server.anonymous = ()
    reference = Reference.parse(f"{tokened.host}/{name}:1")
    with pytest.raises(CredentialsError) as caught:
        pull(open_registry(tokened.host), reference, other_library, platform=PLATFORM)
    assert (
        f"cannot pull {reference}: {tokened.host} has no {name}, or not for everyone" in caught.value.message
    )


def test_one_token_for_each_scope(tokened, token_server, library, made, open_registry, someone, name):
    push(open_registry(tokened.host, credential=someone), f"{tokened.host}/{name}:1", made, library)
    scopes = [query.get("scope") for _, query, _ in token_server.seen]
    assert scopes.count([f"repository:{name}:pull,push"]) == 1
    assert all(query["service"] == ["registry.test"] for _, query, _ in token_server.seen)


def test_mounting_asks_for_both_repositories(
    tokened, token_server, library, made, open_registry, someone, name
):
    push(open_registry(tokened.host, credential=someone), f"{tokened.host}/{name}/a:1", made, library)
    done = push(open_registry(tokened.host, credential=someone), f"{tokened.host}/{name}/b:1", made, library)
    assert done.traffic == Traffic(mounted=3)
    both = [f"repository:{name}/b:pull,push", f"repository:{name}/a:pull"]
    assert both in [query.get("scope") for _, query, _ in token_server.seen]


def test_tokens_that_run_out_are_renewed(
    tokened, token_server, library, other_library, open_registry, someone, name
):
    token_server.lifetime = 1
    made = make_image(library, *(os.urandom(100) for _ in range(10)))
    registry = open_registry(tokened.host, credential=someone)
    registry.manner.chunk = None
    with Push(registry, Reference.parse(f"{tokened.host}/{name}:1")) as done:
        for number, blob in enumerate((*made.manifest.layers, made.manifest.config)):
            done.submit(blob, library.blob(blob.digest)).result()
            if number == 5:
                time.sleep(1)  # the token's lifetime
        done.finish(made.data, made.manifest.media_type)
    assert len(token_server.seen) > 1


def test_a_401_in_the_middle_is_answered_with_a_new_token(
    tokened, token_server, library, made, open_registry, someone, name
):
    registry = open_registry(tokened.host, credential=someone)
    registry.authorize(name)
    # What its server signed for another registry, the registry refuses: as one that has run out.
    authorization = registry._origin._authorization
    kept = authorization._tokens[Scope(repository=name, writes=True).texts]
    object.__setattr__(kept, "text", token_server._sign({"iss": "another", "aud": "x", "exp": 1}))
    push(registry, f"{tokened.host}/{name}:1", made, library)


def test_an_identity_token_is_exchanged(tokened, token_server, library, made, open_registry, name):
    credential = Credential(identity_token=token_server.identity_token)
    push(open_registry(tokened.host, credential=credential), f"{tokened.host}/{name}:1", made, library)
    method, form, shown = token_server.seen[-1]
    assert (method, form["grant_type"], form["client_id"], shown) == (
        "POST",
        ["refresh_token"],
        ["wardian"],
        "",
    )


def test_an_identity_token_that_does_not_hold(tokened, open_registry, name):
    registry = open_registry(tokened.host, credential=Credential(identity_token="old"))
    with pytest.raises(CredentialsError, match="does not accept the stored token"):
        registry.authorize(name)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_server_that_fails_in_passing(
    tokened, token_server, library, made, open_registry, someone, name, status
):
    token_server.faults += [status, status]
    push(open_registry(tokened.host, credential=someone), f"{tokened.host}/{name}:1", made, library)


def test_a_token_server_that_fails_for_ever(tokened, token_server, open_registry, someone, name):
    token_server.faults += [503] * 99
    with pytest.raises(RegistryError) as caught:
        open_registry(tokened.host, credential=someone).authorize(name)
    assert (
        f"its token server {token_server.url[7:]}: it answers 503 Service Unavailable" in caught.value.message
    )
    token_server.faults.clear()


@pytest.mark.parametrize("status", [404, 418])
def test_a_token_server_that_is_none(tokened, token_server, open_registry, someone, name, status):
    token_server.faults += [status]
    with pytest.raises(RegistryError, match=f"answers {status}"):
        open_registry(tokened.host, credential=someone).authorize(name)


def test_credentials_go_to_the_token_server_alone(
    tokened, token_server, library, made, open_registry, someone, name
):
    with running_proxy(tokened.host) as proxy:
        push(open_registry(proxy.host, credential=someone), f"{proxy.host}/{name}:1", made, library)
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        assert all(seen.headers.get("authorization") != basic for seen in proxy.seen)
        assert all(shown == basic for _, _, shown in token_server.seen)


def test_a_token_server_without_tls_gets_nothing_from_a_registry_with_it(
    folders, certificate, open_registry, someone, name
):
    with running_book(certificate) as book:
        book.challenge = 'Bearer realm="http://localhost:1/token",service="a"'
        with pytest.raises(RegistryError, match="a token server that credentials are not sent to"):
            open_registry(book.host, credential=someone, insecure=True).authorize(name)


def test_secrets_are_not_shown():
    credential = Credential(
        user="a", password="secret-1", identity_token="secret-2", registry_token="secret-3"
    )
    assert "secret" not in repr(credential)
