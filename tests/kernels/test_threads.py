"""How many threads share one computation."""

import threading

import threadpoolctl

from localize.kernels.threads import allowed_threads, on_threads


def test_work_is_split_over_the_threads_that_are_allowed():
    """A stage's limit is kept; BLAS has one thread in each of ours, and its own number afterwards."""
    with threadpoolctl.threadpool_limits(3):
        before = allowed_threads()
        inside = on_threads(lambda _: (threading.get_ident(), allowed_threads()), range(20))
        assert allowed_threads() == before
    assert before == 3
    assert {n for _, n in inside} == {1}
    assert threading.get_ident() not in {thread for thread, _ in inside}
    with threadpoolctl.threadpool_limits(1):
        assert on_threads(lambda _: threading.get_ident(), [1, 2]) == 2 * [threading.get_ident()]
