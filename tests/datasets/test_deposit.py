"""Downloads that are cut, damaged or refused."""

import hashlib

import pytest

from knngraph.datasets.deposit import DownloadError, RemoteFile, fetch
from tests.datasets.server import Deposit

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def target(tmp_path):
    """Where the file is to be."""
    return tmp_path / "deep" / "set.bin"


def remote(deposit, **changed):
    values = {
        "name": "set.bin",
        "url": deposit.url + "/files/set.bin/content",
        "size": len(CONTENT),
        "checksum": "md5:" + hashlib.md5(CONTENT).hexdigest(),
    }
    return RemoteFile(**(values | changed))


def part_of(target):
    return target.with_name("set.bin.part")


def test_a_whole_file(target):
    with Deposit({"set.bin": CONTENT}) as deposit:
        assert fetch(remote(deposit), target) == target
        fetch(remote(deposit), target)
        assert deposit.requests == [("set.bin", None)]
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


def test_a_connection_that_is_cut_goes_on_by_itself(target):
    with Deposit({"set.bin": CONTENT}, cut_after=100_000) as deposit:
        fetch(remote(deposit), target, first_pause=0.0)
        spans = [span for _, span in deposit.requests]
    assert spans == [None, "bytes=100000-", "bytes=200000-"]
    assert target.read_bytes() == CONTENT


def test_a_later_call_goes_on_where_the_first_gave_up(target):
    with Deposit({"set.bin": CONTENT}, cut_after=50_000) as deposit:
        with pytest.raises(DownloadError, match="200000 of 256000 bytes are kept"):
            fetch(remote(deposit), target, first_pause=0.0)
        assert not target.exists()
        deposit.cut_after = None
        deposit.requests.clear()
        fetch(remote(deposit), target, first_pause=0.0)
        assert deposit.requests == [("set.bin", "bytes=200000-")]
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(target):
    with Deposit({"set.bin": CONTENT}, cut_after=50_000, ranges=False) as deposit:
        with pytest.raises(DownloadError, match="50000 of 256000 bytes are kept"):
            fetch(remote(deposit), target, first_pause=0.0)
        deposit.cut_after = None
        fetch(remote(deposit), target)
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_file_is_found_out(target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    with Deposit({"set.bin": CONTENT}) as deposit:
        with pytest.raises(DownloadError, match="but the deposit says"):
            fetch(remote(deposit), target)
        assert not part_of(target).exists()
        fetch(remote(deposit), target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [0, 10])
def test_a_part_that_is_long_enough_is_not_asked_for(target, extra):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT + b"x" * extra)
    with Deposit({"set.bin": CONTENT}) as deposit:
        fetch(remote(deposit), target)
        assert deposit.requests == [("set.bin", None)] * bool(extra)
    assert target.read_bytes() == CONTENT


def test_a_file_that_is_shorter_than_the_record_says(target):
    with (
        Deposit({"set.bin": CONTENT[:-1]}) as deposit,
        pytest.raises(DownloadError, match="answers 416"),
    ):
        fetch(remote(deposit), target, first_pause=0.0)
    assert not target.exists()


def test_a_file_that_is_longer_than_the_record_says(target):
    with (
        Deposit({"set.bin": CONTENT + b"x"}) as deposit,
        pytest.raises(DownloadError, match="more than the 256000 bytes"),
    ):
        fetch(remote(deposit), target)
    assert list(target.parent.iterdir()) == []


def test_a_wrong_checksum(target):
    damaged = CONTENT[:-1] + b"x"
    with (
        Deposit({"set.bin": damaged}) as deposit,
        pytest.raises(DownloadError, match=r"has md5 [0-9a-f]{32}, but the dep"),
    ):
        fetch(remote(deposit), target)
    assert list(target.parent.iterdir()) == []


def test_other_checksums(target):
    with Deposit({"set.bin": CONTENT}) as deposit:
        digest = hashlib.sha256(CONTENT).hexdigest().upper()
        fetch(remote(deposit, checksum=f"sha256:{digest}"), target)
    assert target.exists()


def test_a_busy_server_is_asked_again(target):
    with Deposit({"set.bin": CONTENT}) as deposit:
        deposit.failures = [503, 500]
        fetch(remote(deposit), target, first_pause=0.0)
    assert target.read_bytes() == CONTENT


def test_a_server_that_stays_busy(target):
    with Deposit({"set.bin": CONTENT}) as deposit:
        deposit.failures = [500] * 9
        with pytest.raises(DownloadError, match="500 Internal Server Error after 4"):
            fetch(remote(deposit), target, first_pause=0.0)


def test_a_file_that_is_not_there_is_asked_for_once(target):
    with Deposit({"set.bin": CONTENT}) as deposit:
        deposit.failures = [404]
        with pytest.raises(DownloadError, match="content answers 404 Not Found"):
            fetch(remote(deposit), target)
        assert len(deposit.requests) == 1


def test_no_network(target):
    with Deposit({}) as deposit:
        gone = remote(deposit)
    with pytest.raises(DownloadError, match=r"the connection failed .* after 4"):
        fetch(gone, target, first_pause=0.0)
