"""Where compiled kernels are kept."""

from localize import kernels


def test_a_change_of_any_kernel_compiles_them_anew(tmp_path, monkeypatch):
    """numba itself looks at the file of a kernel, and not at those of the kernels that it calls."""
    monkeypatch.setattr(kernels, "_HERE", tmp_path)
    (tmp_path / "caller.py").write_text("1")
    (tmp_path / "called.py").write_text("2")
    before = kernels._cache()
    assert kernels._cache() == before
    (tmp_path / "called.py").write_text("3")
    assert kernels._cache() != before


def test_nobody_elses_folder_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = kernels._temporary()
    assert ours.stat().st_mode & 0o777 == 0o700
    assert kernels._temporary() == ours
    ours.rmdir()
    (tmp_path / "theirs").mkdir()
    ours.symlink_to(tmp_path / "theirs")
    assert kernels._temporary() not in (ours, tmp_path / "theirs")
