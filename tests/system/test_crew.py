"""Several threads at one job."""

from __future__ import annotations

import threading

import pytest

from wardian.system.crew import Crew, StoppedError


def test_work_is_done_by_so_many_at_once():
    together = threading.Barrier(3, timeout=20)
    with Crew(3) as crew:
        futures = [crew.start(lambda number=number: (together.wait(), number)[1]) for number in range(6)]
        crew.wait()
    assert [future.result() for future in futures] == list(range(6))


def test_the_first_failure_ends_it_for_all():
    begun, seen = threading.Event(), []

    def long():
        begun.set()
        try:
            while True:
                crew.go_on()
        except StoppedError:
            seen.append("stopped")
            raise

    def fail():
        given.wait(20)
        raise ValueError("first")

    given = threading.Event()
    with Crew(2) as crew:
        futures = [crew.start(work) for work in (long, fail, long)]
        begun.wait(20)
        given.set()
        with pytest.raises(ValueError, match="first"):
            crew.wait()
        assert isinstance(futures[0].exception(20), StoppedError)
        assert isinstance(futures[2].exception(20), StoppedError)  # it was never begun
        with pytest.raises(ValueError, match="first"):
            crew.start(fail)
    assert seen == ["stopped"]


def test_leaving_stops_what_is_under_way():
    def long():
        while True:
            crew.go_on()

    with Crew(1) as crew:
        future = crew.start(long)
    assert isinstance(future.exception(20), StoppedError)
