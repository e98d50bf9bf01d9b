"""Threads, processes and Ctrl-C."""

import inspect
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import cpu_count, parallel_config
from joblib.externals.loky import get_reusable_executor
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from knngraph import KDTreeKNNClassifier, KNNGraphClassifier, KNNGraphTransformer
from knngraph.parallel import count_threads
from tests.hostile import ALL_ESTIMATORS, PREDICT_OPTIONS, TRANSFORMERS

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)

N_THREADS = 8
# Only a hang takes so long, also where many share the machine.
WATCHDOG_SECONDS = 600


def overlapping(n_rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which many are hard: an answer to them is easily spoiled."""
    return make_blobs(n_rows, 8, centers=5, cluster_std=6.0, random_state=2)


@pytest.fixture(scope="module")
def fitted():
    """A classifier, the queries, and the answer of every inference to each."""
    X, y = overlapping()
    model = KNNGraphClassifier(n_jobs=2, random_state=0).fit(X[:500], y[:500])
    queries = X[500:]
    return model, queries, answers_of(model, queries)


def answers_of(model, queries):
    """Shares of the classes by every inference of a model."""
    return {
        name: reader(model, settings).predict_proba(queries)
        for name, settings in PREDICT_OPTIONS.items()
    }


def reader(model, settings):
    """A second view of one fitted state: threads do not change each other's."""
    view = clone(model).set_params(**settings)
    view.__dict__.update(
        {k: v for k, v in vars(model).items() if k not in model.get_params()}
    )
    return view


def run_guarded(code: str, *arguments: str, seconds: int = WATCHDOG_SECONDS):
    """Run Python in a process of its own that dumps its threads where it hangs."""
    preamble = f"import faulthandler; faulthandler.dump_traceback_later({seconds - 10})"
    return subprocess.run(
        [sys.executable, "-c", f"{preamble}\n{textwrap.dedent(code)}", *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_eight_threads_read_while_another_fits(fitted, tried):
    model, queries, expected = fitted
    X, y = overlapping()
    start = threading.Barrier(N_THREADS + 1, timeout=WATCHDOG_SECONDS)
    answered: Counter[str] = Counter()

    def ask(number: int) -> int:
        random = np.random.default_rng(number)
        start.wait()
        for _ in range(40):
            name = str(random.choice(list(PREDICT_OPTIONS)))
            view = reader(model, PREDICT_OPTIONS[name])
            size = int(random.choice([1, 1, 7, len(queries)]))
            rows = random.integers(0, len(queries), size=size)
            assert_array_equal(view.predict_proba(queries[rows]), expected[name][rows])
            answered[name] += size
        return number

    def fit() -> np.ndarray:
        start.wait()
        other = None
        for _ in range(3):
            other = clone(model).fit(X[:500], y[:500])
        return other.predict_proba(queries)

    with ThreadPoolExecutor(N_THREADS + 1) as pool:
        fitting = pool.submit(fit)
        asking = [pool.submit(ask, number) for number in range(N_THREADS)]
        numbers = [future.result(timeout=WATCHDOG_SECONDS) for future in asking]
        refitted = fitting.result(timeout=WATCHDOG_SECONDS)
    assert numbers == list(range(N_THREADS))
    assert_array_equal(refitted, expected["lookup ef=1"])
    assert set(answered) == set(PREDICT_OPTIONS)
    tried[f"answers by {N_THREADS} threads while another fits: none differs"] += sum(
        answered.values()
    )


def predict_in_child(model, queries, connection):
    connection.send(answers_of(model, queries))
    connection.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_answers_alike(method, fitted, tried):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    model, queries, expected = fitted
    answers_of(model, queries)  # the parent has used its threads
    context = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=predict_in_child, args=(model, queries, there))
    child.start()
    there.close()
    try:
        assert here.poll(WATCHDOG_SECONDS), "the child hangs"
        answers = here.recv()
        child.join(WATCHDOG_SECONDS)
    finally:
        child.kill()
    assert child.exitcode == 0
    for name, shares in answers.items():
        assert_array_equal(shares, expected[name])
        tried["answers by a forked or spawned child: none differs"] += len(shares)


INTERRUPTED = """
    import os, signal, sys, threading, time, warnings
    import numpy as np
    from sklearn.datasets import make_blobs
    from knngraph import KNNGraphClassifier
    warnings.simplefilter("ignore")
    n_jobs, n_moments = int(sys.argv[1]), int(sys.argv[2])
    X, y = make_blobs(1500, 16, centers=5, cluster_std=6.0, random_state=2)
    few = slice(0, 300)
    settings = dict(inference="adaptive", n_jobs=n_jobs, random_state=0)
    # Compiled code is loaded first: the moments below are then moments of work.
    expected = KNNGraphClassifier(**settings).fit(X[few], y[few]).predict_proba(X)
    KNNGraphClassifier(**settings).fit(X, y)
    begin = time.perf_counter()
    KNNGraphClassifier(**settings).fit(X, y)
    duration = time.perf_counter() - begin
    n_threads = threading.active_count()
    stopped = 0
    for moment in range(n_moments):
        model = KNNGraphClassifier(**settings)
        if moment % 2:
            model.fit(X[few], y[few])
        before = dict(vars(model))
        delay = duration * (moment + 0.5) / n_moments
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        ended = False
        try:
            timer.start()
            model.fit(X, y)
            ended = True
            timer.join()
            time.sleep(5)  # for the signal to come
        except KeyboardInterrupt:
            pass
        timer.join()
        if not ended:
            stopped += 1
            assert vars(model).keys() == before.keys()
            assert all(vars(model)[name] is before[name] for name in before)
            if moment % 2:
                assert np.array_equal(model.predict_proba(X), expected)
        deadline = time.monotonic() + 20
        while threading.active_count() > n_threads and time.monotonic() < deadline:
            time.sleep(0.01)
        left = [thread.name for thread in threading.enumerate()]
        assert len(left) <= n_threads, left
        model.fit(X[few], y[few])
        assert np.array_equal(model.predict_proba(X), expected)
    print(stopped)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a real SIGINT")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_leaves_the_estimator_as_it_was(n_jobs, tried):
    n_moments = 6
    done = run_guarded(INTERRUPTED, str(n_jobs), str(n_moments))
    assert done.returncode == 0, done.stderr
    stopped = int(done.stdout)
    tried["fits stopped by Ctrl-C: each estimator as before"] += stopped
    # The last moments may come after the end, if the machine is busy meanwhile.
    assert stopped >= 2


class _InterruptAtCall:
    """A profiler that counts calls within the library, and stops at one of them.

    Generators do not count: Python passes over what is raised when one is closed.
    """

    def __init__(self, number=None):
        self.number, self.n_calls = number, 0

    def __call__(self, frame, event, argument):
        ours = frame.f_globals.get("__name__", "").startswith("knngraph.")
        if (
            event == "call"
            and ours
            and not frame.f_code.co_flags & inspect.CO_GENERATOR
        ):
            self.n_calls += 1
            if self.n_calls == self.number:
                raise KeyboardInterrupt

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)


def seeded(name):
    """An estimator whose fit makes the same calls every time."""
    estimator = ALL_ESTIMATORS[name]()
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    return estimator


def calls_to_stop_at(n_calls, n_moments, random):
    """An early call, a late one, and some in between.

    Not the last ones: a fitted estimator looks for fewer attributes in vain than a new
    one, and its fit makes a few calls less.
    """
    last = max(2, int(0.9 * n_calls))
    return sorted({2, last, *random.integers(2, last + 1, n_moments)})


@pytest.mark.parametrize("name", ALL_ESTIMATORS)
@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
@pytest.mark.usefixtures("few_trees")
def test_an_interrupt_at_any_call_of_a_fit(name, tried, random):
    X, y = overlapping(60)
    model = seeded(name).fit(X, y)  # loads what is loaded once
    X_again, y_again = X[:50] + 1.0, y[:50]
    again = seeded(name)
    with _InterruptAtCall() as counting:
        again.fit(X_again, y_again)
    ask = model.transform if name in TRANSFORMERS else model.predict_proba
    before, expected = dict(vars(model)), ask(X)
    for call in calls_to_stop_at(counting.n_calls, 2, random):
        fresh = seeded(name)
        for stopped in (model, fresh):
            with _InterruptAtCall(call), pytest.raises(KeyboardInterrupt):
                stopped.fit(X_again, y_again)
        assert vars(fresh) == seeded(name).__dict__
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is value for key, value in before.items())
        tried["fits stopped by Ctrl-C: each estimator as before"] += 2
    different = ask(X) != expected
    assert not (different.nnz if name in TRANSFORMERS else different.any())


@pytest.mark.parametrize("inference", PREDICT_OPTIONS)
def test_an_interrupt_at_any_call_of_a_change(inference, tried, random):
    X, y = overlapping(80)

    def changed():
        model = KNNGraphClassifier(random_state=0, **PREDICT_OPTIONS[inference])
        return model.fit(X[:50], y[:50]).partial_fit(X[50:], y[50:]).forget([0, 70])

    expected = changed().predict_proba(X)  # loads what is loaded once
    model = changed()
    with _InterruptAtCall() as counting:
        model.predict_proba(X)
    for call in calls_to_stop_at(counting.n_calls, 4, random):
        model = changed()
        with _InterruptAtCall(call), pytest.raises(KeyboardInterrupt):
            model.predict_proba(X)
        assert_array_equal(model.predict_proba(X), expected)
        tried["changes stopped by Ctrl-C: carried out at the next look"] += 1


class Failing(KNNGraphClassifier):
    """Stops where all but the last attributes are learned."""

    def _warn_of_lost_searches(self):
        raise MemoryError


def test_an_error_at_the_end_of_fit_leaves_nothing_behind():
    X, y = overlapping(100)
    model = Failing(random_state=0)
    with pytest.raises(MemoryError):
        model.fit(X, y)
    assert vars(model) == model.get_params()
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("make", [KNNGraphTransformer, KDTreeKNNClassifier])
def test_a_refit_that_is_refused_keeps_the_model(make):
    X, y = overlapping(100)
    model = make().fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X > 5.0, np.nan, X)[:, :4], y)
    assert vars(model) == before


class WatchesItsThreads(KNNGraphClassifier):
    """Its score is the largest number of threads that work while it is fitted."""

    def _fit_codes(self, *given):
        ended, seen = threading.Event(), [0]

        def watch():
            while not ended.wait(0.001):
                ours = [t for t in threading.enumerate() if "(worker)" in t.name]
                seen.append(len(ours))

        watching = threading.Thread(target=watch, name="watching")
        watching.start()
        super()._fit_codes(*given)
        ended.set()
        watching.join()
        blas = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
        self.n_threads_ = max(count_threads(self.n_jobs), *seen, *blas)
        return self

    def score(self, X, y):
        return self.n_threads_


def test_workers_of_a_search_share_the_cores(monkeypatch):
    for name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    X, y = overlapping(1000)
    model = WatchesItsThreads(inference="adaptive", n_jobs=-1, random_state=0)
    search = GridSearchCV(model, {"ef": [1, 2]}, cv=2, n_jobs=2, refit=False)
    with parallel_config(backend="loky"):
        search.fit(X, y)
    get_reusable_executor().shutdown()
    most = int(search.cv_results_["mean_test_score"].max())
    share = max(1, cpu_count() // 2)
    assert most <= share, f"{most} threads a worker on {cpu_count()} cores"


def test_all_cores_are_those_of_the_worker(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert count_threads(-1) == 1
    assert count_threads(3) == 3  # asked for by name
