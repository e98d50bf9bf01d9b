"""What a killed run leaves behind, and what the next one makes of it."""

import pytest

from benchmarks.rows import Journal, append_rows, read_rows

KEY = ("set", "fold")


def journal(folder, **conditions):
    return Journal(folder / "rows.csv", KEY, {"cores": 2} | conditions, "seconds")


def measured(folder):
    found = journal(folder)
    found.append(("a", 0), {"accuracy": 0.5, "seconds": 1.0})
    found.append(("a", 1), {"accuracy": 0.75, "seconds": 2.0})
    return found


def test_rows_are_tidy(tmp_path):
    measured(tmp_path)
    rows = read_rows(tmp_path / "rows.csv")
    assert list(rows) == ["set", "fold", "metric", "value", "cores"]
    assert rows["value"].tolist() == ["0.5", "1.0", "0.75", "2.0"]
    assert journal(tmp_path).keys() == {("a", "0"), ("a", "1")}


def test_values_come_back_to_the_last_digit(tmp_path):
    value = 0.1 + 0.2
    journal(tmp_path).append(("a", 0), {"seconds": value})
    assert float(read_rows(tmp_path / "rows.csv")["value"].item()) == value


@pytest.mark.parametrize("n_bytes", range(1, 40, 3))
def test_what_was_cut_short_is_measured_again(tmp_path, n_bytes):
    path = measured(tmp_path).path
    whole = path.read_bytes()
    path.write_bytes(whole[:-n_bytes])
    again = journal(tmp_path)
    assert again.keys() == {("a", "0")}
    again.append(("a", 1), {"accuracy": 0.75, "seconds": 2.0})
    assert path.read_bytes() == whole


def test_a_file_with_a_torn_header_is_begun_again(tmp_path):
    (tmp_path / "rows.csv").write_text("set,fo")
    assert journal(tmp_path).keys() == set()
    measured(tmp_path)
    assert len(read_rows(tmp_path / "rows.csv")) == 4


def test_figures_of_two_machines_do_not_mix(tmp_path):
    measured(tmp_path)
    with pytest.raises(SystemExit, match=r"measured with cores '2', this run has '4'"):
        journal(tmp_path, cores=4)


def test_the_last_metric_comes_last(tmp_path):
    journal(tmp_path).append(("a", 0), {"seconds": 1.0, "accuracy": 1.0})
    rows = read_rows(tmp_path / "rows.csv")
    assert rows["metric"].tolist() == ["accuracy", "seconds"]
    with pytest.raises(KeyError, match="seconds"):
        journal(tmp_path).append(("a", 1), {"accuracy": 1.0})


def test_wide_rows_may_lack_columns(tmp_path):
    path = tmp_path / "deep" / "wide.csv"
    append_rows(path, ["a", "b"], [{"a": 1}])
    append_rows(path, ["a", "b"], [{"a": 2, "b": 3}])
    rows = read_rows(path).to_dict("records")
    assert rows == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]
    assert read_rows(tmp_path / "nothing.csv").empty


def test_what_is_to_be_measured_anew_is_forgotten(tmp_path):
    found = measured(tmp_path)
    found.append(("b", 0), {"seconds": 3.0})
    found.forget(set={"a", "c"}, fold={"1"})
    assert found.keys() == {("a", "0"), ("b", "0")}
    found.forget(set={"a", "b"})
    assert found.keys() == set()
    found.append(("b", 0), {"seconds": 3.0})
    assert journal(tmp_path).keys() == {("b", "0")}
