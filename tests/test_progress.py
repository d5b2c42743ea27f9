"""What is told of long work: words, a live line that fits, a line a minute, and nothing where nobody wants it."""

import logging
import time

import pytest

from localize import progress
from localize.progress import Teller, Work, clock, counted, in_words, spoken


@pytest.fixture
def quick(monkeypatch):
    """A minute lasts as long as a blink."""
    monkeypatch.setattr(progress, "DRAWN_S", 0.01)
    monkeypatch.setattr(progress, "LOGGED_S", 0.05)
    monkeypatch.setattr(progress, "SURE_S", 0.0)


def test_durations_are_told_as_people_do():
    assert [spoken(s) for s in (0.04, 9.9, 48.7, 59.9, 60, 185, 3600, 7810)] == [
        *("0.0 s", "9.9 s", "49 s", "1 min", "1 min", "3 min 5 s", "1 h 0 min", "2 h 10 min")
    ]
    assert [clock(s) for s in (0, 65, 3599.6, 7800)] == ["0:00", "1:05", "1:00:00", "2:10:00"]


def test_what_is_left_follows_from_what_was_done_since_counting_began(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    work = Work("pair_matches", None, 0, "")
    now[0] = 150.0
    work.count(400, 200)  # the first half came from the store
    work.update(50)
    now[0] = 160.0
    assert (work.rate, work.left_s) == (5.0, 30.0)
    assert in_words(work).startswith("pair matches: 250 of 400 (62%) for 1 min, 5.0/s, about 30 s left, until ")
    for columns in (40, 80, 200):
        assert len(Teller().drawn(work, columns)) < columns
    assert "250 of 400  5.0/s  0:30 left" in Teller().drawn(work, 200)


def test_a_log_gets_lines_while_work_goes_on_and_also_where_nothing_can_be_counted(quick, caplog):
    caplog.set_level(logging.INFO)
    with progress.work("map"):
        time.sleep(0.2)
        assert "map: running for 0." in caplog.text
        with progress.work("photos", 4) as inner:
            inner.update()
            time.sleep(0.2)
    assert "photos: 1 of 4 (25%) for 0." in caplog.text
    lines = len(caplog.messages)
    assert lines < 10  # one a "minute", not one a look
    with progress.work("hidden", shown=False):
        time.sleep(0.1)
    assert len(caplog.messages) == lines


def test_work_within_work_of_the_same_name_is_the_same(quick):
    with progress.work("features") as outer:
        with progress.work("features", 10, 3) as inner:
            assert inner is outer
        with progress.work("other", 2) as other:
            assert other is not outer
    assert (outer.total, outer.done) == (10, 3)


def test_counting_items_leaves_nothing_behind_when_it_is_stopped(quick):
    items = counted([1, 2, 3], "items")
    next(items)
    assert [work.name for work in progress._running] == ["items"]
    items.close()
    assert progress._running == []
