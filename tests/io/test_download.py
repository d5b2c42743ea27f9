"""Fetching one file, against a server of our own."""

import hashlib
import shutil
import threading
import types

import pytest

from localize.io.fetching.download import MIRROR, FetchError, fetch
from localize.types import InputError
from tests.local_server import BODY, PAGE, Server, names

SHA = hashlib.sha256(BODY).hexdigest()


def get(server, target, **how):
    waits = []
    try:
        assert fetch(how.pop("urls", server.site + "/a.bin"), target, sleep=waits.append, **how) == target
    finally:
        get.waits = waits
    return target.read_bytes()


def test_complete_file_is_verified_and_never_fetched_twice(server, tmp_path):
    seen = []
    how = {"size": len(BODY), "sha256": SHA, "progress": lambda there, total: seen.append((there, total))}
    assert get(server, tmp_path / "deep/a.bin", **how) == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert names(tmp_path) == {"deep/a.bin"}
    get(server, tmp_path / "deep/a.bin", **how)
    assert len(server.asked) == 1
    (tmp_path / "deep/a.bin").write_bytes(b"other")
    with pytest.raises(InputError, match="has 5 bytes, but must have 300000: delete it"):
        get(server, tmp_path / "deep/a.bin", **how)


def test_lost_connection_goes_on_where_it_broke_off(server, tmp_path):
    server.cuts = [100_000, 50_000]
    assert get(server, tmp_path / "a.bin", sha256=SHA) == BODY
    assert [(ask, tag) for _, _, ask, tag in server.asked] == [
        (None, None),
        ("bytes=100000-", '"one"'),
        ("bytes=150000-", '"one"'),
    ]
    assert get.waits == [1, 1]


@pytest.mark.parametrize(("etag", "date"), [('"one"', None), ('W/"weak"', "Mon, 01 Jan 2024 00:00:00 GMT")])
def test_interrupted_run_is_resumed_by_the_next(server, tmp_path, etag, date):
    server.etag, server.date = etag, date
    server.if_range = etag == '"one"'
    server.cuts = [100_000, 0, 0, 0]
    with pytest.raises(FetchError, match=r"failed 4 times in a row.* closed after 100000 of 300000 bytes") as e:
        get(server, tmp_path / "a.bin")
    assert not e.value.unreachable
    assert names(tmp_path) == {"a.bin.partial", "a.bin.partial.json"}
    assert get(server, tmp_path / "a.bin") == BODY
    assert server.asked[-1][2:] == ("bytes=100000-", date or etag)
    assert names(tmp_path) == {"a.bin", "a.bin.sha256"}


def test_a_partial_file_without_its_note_is_not_continued(server, tmp_path):
    (tmp_path / "a.bin.partial").write_bytes(b"x" * 1000)
    assert get(server, tmp_path / "a.bin") == BODY
    assert server.gets == [("/a.bin", None)]


def test_server_without_ranges_restarts(server, tmp_path):
    server.ranges, server.cuts = False, [100_000]
    assert get(server, tmp_path / "a.bin", sha256=SHA) == BODY


@pytest.mark.parametrize("if_range", [True, False], ids=["server obeys If-Range", "server ignores If-Range"])
@pytest.mark.parametrize("length", [300_000, 250_000, 90_000], ids=["same length", "shorter", "shorter than the part"])
def test_file_that_changed_on_the_server_restarts(server, tmp_path, if_range, length):
    server.cuts = [100_000, 0, 0, 0]
    with pytest.raises(FetchError):
        get(server, tmp_path / "a.bin")
    server.files["/a.bin"], server.etag, server.if_range = BODY[::-1][:length], '"two"', if_range
    assert get(server, tmp_path / "a.bin") == BODY[::-1][:length]


def test_server_that_always_breaks_off_ends_in_a_sentence(server, tmp_path):
    server.ranges, server.cuts = False, [1000] * 50
    with pytest.raises(FetchError, match="closed after 1000 of 300000 bytes"):
        get(server, tmp_path / "a.bin")
    assert len(server.asked) == 4
    assert not (tmp_path / "a.bin").exists()


def test_trouble_that_passes_is_waited_out_and_other_refusals_are_not(server, tmp_path):
    server.codes["/a.bin"] = [503, 429]
    assert get(server, tmp_path / "a.bin") == BODY
    assert get.waits == [1, 2]
    with pytest.raises(FetchError) as e:
        get(server, tmp_path / "b.bin", urls=server.site + "/b.bin")
    (sentence,) = e.value.problems
    for part in (f"{server.site}/b.bin answered 404 Not Found", f"put it at {tmp_path / 'b.bin'}", MIRROR):
        assert part in sentence
    assert [path for path, _ in server.gets].count("/b.bin") == 1
    assert not e.value.unreachable


def test_wrong_checksum_is_never_kept_and_the_next_mirror_is_tried(server, tmp_path):
    server.files["/bad.bin"] = BODY[:-1] + b"?"
    bad, good = server.site + "/bad.bin", server.site + "/a.bin"
    assert get(server, tmp_path / "a.bin", urls=[bad, good], sha256=SHA) == BODY
    (tmp_path / "a.bin").unlink()
    with pytest.raises(FetchError, match=f"bad.bin has the SHA-256 .* but must have {SHA}"):
        get(server, tmp_path / "a.bin", urls=bad, sha256=SHA)
    assert names(tmp_path) == set()
    asked = len(server.asked)
    with pytest.raises(FetchError, match="has 300000 bytes, but must have 7"):
        get(server, tmp_path / "a.bin", urls=good, size=7)
    assert len(server.asked) == asked + 1


def test_redirects_are_followed_and_keep_the_range(server, tmp_path):
    other = Server()
    other.files["/far/a.bin"] = BODY
    server.moved = {"/a": "/b/c", "/b/c": f"http://localhost:{other.http.server_port}/far/a.bin"}
    other.cuts = [100_000]
    assert get(server, tmp_path / "a.bin", urls=server.site + "/a") == BODY
    assert other.gets == [("/far/a.bin", None), ("/far/a.bin", "bytes=100000-")]
    other.http.shutdown()
    other.http.server_close()


def test_no_network_is_one_sentence(closed, server, tmp_path):
    with pytest.raises(FetchError, match=r"a\.bin cannot be reached \(Connection refused\)") as e:
        get(server, tmp_path / "a.bin", urls=closed + "/a.bin")
    assert e.value.unreachable
    assert len(e.value.problems) == 1
    assert get.waits == [1, 2, 4]


def test_a_server_that_stalls_is_given_up(server, tmp_path):
    server.slow_s = 0.3
    with pytest.raises(FetchError, match=r"cannot be reached .*timed out"):
        get(server, tmp_path / "a.bin", timeout_s=0.05)


def test_a_web_page_is_no_archive_and_costs_nothing_that_had_arrived(server, tmp_path):
    server.files["/a.zip"] = PAGE
    for name, url in (("a.zip", "/a.zip"), ("a.txt", "/a.zip")):
        with pytest.raises(FetchError, match="is a web page"):
            get(server, tmp_path / name, urls=server.site + url)
    with pytest.raises(FetchError, match=r"is no \.gz file"):
        get(server, tmp_path / "a.gz")
    assert names(tmp_path) == set()
    server.cuts = [100_000, 0, 0, 0]
    with pytest.raises(FetchError):
        get(server, tmp_path / "a.bin")
    server.files["/a.bin"], server.etag = PAGE, None  # the hotel's log-in page
    with pytest.raises(FetchError, match="is a web page"):
        get(server, tmp_path / "a.bin")
    server.files["/a.bin"], server.etag = BODY, '"one"'
    assert get(server, tmp_path / "a.bin") == BODY
    assert server.gets[-1] == ("/a.bin", "bytes=100000-")


def test_full_disk_is_known_before_the_first_byte(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"needs 0\.3 MB more, but its disk has 1000 bytes free"):
        get(server, tmp_path / "a.bin")
    assert names(tmp_path) == set()


def test_two_at_once_fetch_it_once(server, tmp_path):
    server.slow_s = 0.1
    threads = [threading.Thread(target=fetch, args=(server.site + "/a.bin", tmp_path / "a.bin")) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(server.asked) == 1
    assert names(tmp_path) == {"a.bin", "a.bin.sha256"}


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", None, "is empty"),
        (b"<!-- sso --><head><title>Sign in</title>", None, "is a web page"),
        ("\ufeff<html>".encode("utf-16-le"), None, "is a web page"),
        (b"Please sign in.", "text/html; charset=utf-8", "is a web page"),
        (b'{"error": "quota"}', "application/json", "is sent as application/json, an answer of the server"),
        (b"Sorry.", "text/plain", r"is no \.pth file: it begins with b'Sorry\.'"),
    ],
)
def test_what_is_sent_in_place_of_a_file_that_nobody_vouches_for(server, tmp_path, body, kind, said):
    server.files["/w.pth"], server.kind = body, kind
    with pytest.raises(FetchError, match=said):
        get(server, tmp_path / "w.pth", urls=server.site + "/w.pth")
    assert names(tmp_path) == set()


def test_the_first_file_without_a_checksum_is_trusted_and_no_other(server, tmp_path, caplog):
    assert get(server, tmp_path / "a.bin") == BODY
    assert (tmp_path / "a.bin.sha256").read_text() == f"{SHA}  a.bin\n"
    assert "from now on another file in its place is refused" in caplog.text
    (tmp_path / "a.bin").write_bytes(BODY[::-1])
    with pytest.raises(InputError, match=r"must have .* as the first that came \(delete .*a\.bin\.sha256"):
        get(server, tmp_path / "a.bin")
    (tmp_path / "a.bin").unlink()
    server.files["/a.bin"] = BODY[::-1]
    with pytest.raises(FetchError, match="as the first that came"):
        get(server, tmp_path / "a.bin")
    (tmp_path / "a.bin.sha256").unlink()
    assert get(server, tmp_path / "a.bin") == BODY[::-1]


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/a.bin", "file:///etc/hostname", "data:,x"])
def test_redirects_lead_to_http_alone(server, tmp_path, to):
    server.moved["/b.bin"] = to
    with pytest.raises(FetchError, match=r"is not followed|is not allowed"):
        get(server, tmp_path / "b.bin", urls=server.site + "/b.bin")
    assert names(tmp_path) == set()
