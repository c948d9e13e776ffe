"""The workshop makes each thing once, and nobody waits for what they do not need."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from wardian.ecosystems import workshop as workshops
from wardian.ecosystems.workshop import Workshop
from wardian.errors import FetchError
from wardian.image.platform import Platform
from wardian.store.store import Store
from wardian.system.progress import Silent


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(
        store=Store.open(tmp_path / "store"),
        environment={"HOME": str(tmp_path)},
        progress=Silent(),
        offline=True,
    )


def test_threads_share_one_of_each(workshop: Workshop) -> None:
    barrier = threading.Barrier(8)

    def made() -> tuple[int, int, int]:
        barrier.wait(10)
        return id(workshop.fetcher), id(workshop.configuration), id(workshop.uv)

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(made) for _ in range(8)]
        assert len({future.result() for future in futures}) == 1


def test_prefetching_begins_while_the_toolbox_is_fetched(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, fetched = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> str:
        asked.set()
        assert fetched.wait(10)
        return "toolbox"

    monkeypatch.setattr(workshops, "ensure_toolbox", slow)
    with ThreadPoolExecutor(1) as pool:
        toolbox = pool.submit(workshop.toolbox)
        assert asked.wait(10)
        target = workshop.target("trixie", "3.13.5", Platform.host())
        future = workshop.prefetch((), target)
        future.result(10)
        assert workshop.prefetch((), target) is future
        assert not toolbox.done()
        fetched.set()
        assert toolbox.result(10) == "toolbox"


def test_what_failed_to_be_fetched_is_begun_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise FetchError("the index is away")

    target = workshop.target("trixie", "3.13.5", Platform.host())
    online = replace(workshop, offline=False)
    monkeypatch.setattr(workshops, "prefetch", failing)
    with pytest.raises(FetchError):
        online.prefetch((), target).result(10)
    monkeypatch.setattr(workshops, "prefetch", lambda *_, **__: None)
    online.prefetch((), target).result(10)
