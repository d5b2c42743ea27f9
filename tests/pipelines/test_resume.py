"""Stopped at any moment, a run goes on where it was; several processes share one store."""

import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import threadpoolctl

from localize.pipelines import parallel_search
from localize.stages import Workbench
from localize.store import Store
from localize.types import GlobalVector, InputError
from tests.conftest import CHECKOUT, FEATURE, UNKEPT, computed, poses

KILLED = """
import os, signal, sys
from localize import store, stages
from localize.datasets.synthetic import Synthetic
from localize.features.sift import Sift
from localize.pipelines import parallel_search
from localize.stages import workbench

stages, root, scene_root, output = sys.argv[1:]
kill_in = now = None
real_stage, real_write, real_save = workbench.Workbench.stage, store.Shelf._write, store.save_record

def stage(self, name):
    global now
    now = name
    return real_stage(self, name)

def die():
    if now == kill_in:
        os.kill(os.getpid(), signal.SIGKILL)

def write(self, batch):
    real_write(self, batch)
    die()

def save(folder, record, *written):
    real_save(folder, record, *written)
    if now == kill_in:
        (folder / "record.json").write_text("half")
    die()

workbench.Workbench.stage, store.Shelf._write, store.save_record = stage, write, save
store.Shelf.SHARD_SECONDS = 0
scene = Synthetic(scene_root, num_photos=10, num_points=250).load()
for kill_in in stages.split():  # forked, as the imports take longer than the work
    child = os.fork()
    if not child:
        parallel_search.run(scene, store.Store(root), feature=Sift(max_keypoints=2500), output=output)
        os._exit(0)
    print(kill_in, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _fill(root: str, log: str):
    def work(item):
        with open(log, "a") as f:
            f.write(f"{item}\n")
        time.sleep(0.2)
        return GlobalVector(np.full(2, item))

    bench = Workbench(Store(root), workers=2)
    bench.fill("s", bench.store.shelf("s", {}), {i: str(i) for i in range(6)}, work)


def test_two_processes_share_the_work_of_one_shelf(tmp_path):
    """Whoever comes second waits, then finds everything done."""
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_fill, args=(tmp_path / "store", tmp_path / "log")) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [p.exitcode for p in both] == [0, 0]
    assert sorted((tmp_path / "log").read_text().split()) == list("012345")


def test_kill_in_every_stage_then_resume(finished, synthetic_root, scene, tmp_path):
    """Each run is killed in the next stage, after its first shard or inside its artifact; the last one finishes."""
    stages = [s for s in computed(finished[1]) if s not in UNKEPT]
    assert len(stages) == 14
    arguments = [" ".join(stages), str(tmp_path / "store"), str(synthetic_root), str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"{name} {-signal.SIGKILL}" for name in stages], done.stderr
    parallel_search.run(scene, Store(tmp_path / "store"), feature=FEATURE, output=str(tmp_path / "run"))
    found = computed(tmp_path / "run")
    assert found["reference_features"] == 0
    assert found["pair_matches"] == 0
    assert found["poses"] == len(scene.queries) - 1  # the first was on the shelf when the last kill came
    assert poses(tmp_path / "run") == poses(finished[1])


def test_workers_end_with_their_killed_parent(scene, tmp_path):
    code = (
        "import sys, os, signal, threading, time, psutil\n"
        "from localize.datasets.synthetic import Synthetic\n"
        "from localize.features.sift import Sift\n"
        "from localize.pipelines import serial\n"
        "from localize.store import Store\n"
        "if __name__ == '__main__':\n"
        "    scene = Synthetic(sys.argv[1], num_photos=10, num_points=250).load()\n"
        "    def kill():\n"
        "        while len(psutil.Process().children()) < 3: time.sleep(0.05)\n"
        "        print(*[p.pid for p in psutil.Process().children()], flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    threading.Thread(target=kill).start()\n"
        "    serial.run(scene, Store(sys.argv[2]), feature=Sift(), workers=2)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    root = str(pathlib.Path(scene.image_root).parent)
    command = [sys.executable, str(script), root, str(tmp_path / "store")]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    pids = [int(p) for p in done.stdout.split()]
    assert len(pids) >= 2, done.stderr
    deadline = 100
    while any(alive(p) for p in pids) and deadline:
        deadline -= 1
        time.sleep(0.1)
    assert not [p for p in pids if alive(p)]


def alive(pid: int) -> bool:
    try:
        return "Z" not in pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def library_threads(_=None) -> list[int]:
    return [library["num_threads"] for library in threadpoolctl.threadpool_info()]


@pytest.mark.skipif(max(library_threads()) < 2, reason="libraries use one thread on this machine anyway")
def test_libraries_use_one_thread_in_a_stage_and_all_after_it(tmp_path):
    """Results must not depend on them, and a notebook that calls us gets them back, also after work without a stage."""
    bench, before = Workbench(Store(tmp_path), workers=2), library_threads()
    list(bench.map(abs, [-1, 2, -3]))
    assert library_threads() == before
    with bench.stage("work"):
        seen = [threads for threads, _ in bench.map(library_threads, [1, 2, 3])]
    assert all(set(threads) == {1} for threads in seen)
    assert library_threads() == before


def _dies_at_three(item: int) -> GlobalVector:
    if item == 3:
        time.sleep(1)  # what comes before is done by then
        os.kill(os.getpid(), signal.SIGKILL)
    return GlobalVector(np.full(2, item))


def test_a_killed_worker_is_one_sentence_and_what_was_done_is_kept(tmp_path):
    bench = Workbench(Store(tmp_path / "store"), workers=2)
    shelf, keys = bench.store.shelf("s", {}), {i: str(i) for i in range(20)}
    with pytest.raises(
        InputError, match=r"a worker process was killed \(SIGKILL\) while the workers were at 3, .*memory"
    ):
        bench.fill("s", shelf, keys, _dies_at_three, processes=True)
    assert all(str(i) in bench.store.shelf("s", {}) for i in range(3))


def test_a_run_that_is_told_to_stop_says_how_to_go_on(tmp_path):
    """Whatever handler pycolmap installs, when it is imported after ours."""
    script = (
        "import os, sys, hydra, localize.cli as cli\n"
        "def stopped(cfg):\n    import localize.geometry.colmap\n"
        f"    os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
        "cli._run = stopped\n"
        f"sys.argv[1:] = ['hydra.run.dir={tmp_path}']\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 143, done.stderr
    assert done.stderr.strip().startswith("Stopped. What is in the store")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_script_without_its_guard_is_told_so_and_does_not_hang(tmp_path):
    """Worker processes import it, and would wait for the lock that their caller holds."""
    script = tmp_path / "script.py"
    script.write_text(
        "from localize import Store\nfrom localize.stages import Workbench\n"
        f"bench = Workbench(Store({str(tmp_path / 'store')!r}), workers=2)\n"
        "bench.fill('s', bench.store.shelf('s', {}), {1: '1', 2: '2'}, abs, processes=True)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert 'under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
