from pathlib import Path

import pytest

from bayesdose._files import check_free, whole_file, whole_folder, write_text
from bayesdose.errors import ConfigError


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_that_fails_leaves_what_was_there(tmp_path):
    write_text("old", tmp_path / "a.txt")

    def fail() -> None:
        with whole_file(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names_in(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_text_is_utf8_with_plain_line_ends(tmp_path):
    write_text("R² ≥ 0\n", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == "R² ≥ 0\n".encode()


def test_a_folder_appears_when_it_is_complete(tmp_path):
    out = tmp_path / "new" / "fit"
    with whole_folder(out, ()) as partial:
        write_text("1", partial / "a.csv")
        (partial / "figures").mkdir()
        write_text("2", partial / "figures" / "b.png")
        assert not out.exists()
    assert names_in(out) == ["a.csv", "figures/b.png"]
    assert names_in(tmp_path / "new") == ["fit/a.csv", "fit/figures/b.png"]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    def fail() -> None:
        with whole_folder(tmp_path / "fit", ()) as partial:
            write_text("1", partial / "a.csv")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_files_of_an_earlier_run_go_and_those_of_others_stay(tmp_path):
    for name in ("mine.csv", "stale.csv", "theirs.txt"):
        write_text("old", tmp_path / name)
    with whole_folder(tmp_path, ("mine.csv", "stale.csv", "figures/never.png")) as partial:
        write_text("new", partial / "mine.csv")
    assert names_in(tmp_path) == ["mine.csv", "theirs.txt"]
    assert (tmp_path / "mine.csv").read_text() == "new"


def test_a_folder_is_free_when_absent_empty_forced_or_of_an_earlier_run(tmp_path):
    check_free(tmp_path / "absent" / "deeper", force=False)
    check_free(tmp_path, force=False)
    write_text("1", tmp_path / "summary.md")
    check_free(tmp_path, force=True)
    check_free(tmp_path, force=False, sign="summary.md")
    with pytest.raises(ConfigError, match=r"is not empty; .* --force"):
        check_free(tmp_path, force=False)
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        check_free(tmp_path / "summary.md", force=True)


def test_a_place_that_cannot_be_written_to_is_found_before_the_work(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="may not be written to"):
        check_free(tmp_path / "fit", force=False)
