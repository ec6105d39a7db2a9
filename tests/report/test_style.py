import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.report import save_figure, style


def ticks_of(low: float, high: float) -> list[float]:
    (ax,) = style.panels(1, None)
    style.log_ticks(ax, "x", low, high)
    ax.figure.draw_without_rendering()
    return [float(t.get_text()) for t in ax.get_xticklabels() if low <= t.get_position()[0] <= high]


def test_tissues_with_a_colour_of_their_own_are_told_apart():
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


def test_an_unknown_tissue_keeps_its_colour_and_marker():
    first = style.colour_of("pituitary"), style.marker_of("pituitary")
    assert (style.colour_of("pituitary"), style.marker_of("pituitary")) == first
    assert first[0] not in style.COLOURS.values()


@pytest.mark.parametrize(("low", "high"), [(120, 170), (1.2, 9), (0.4, 9), (0.3, 90), (0.1, 9000)])
def test_a_logarithmic_axis_has_some_plain_ticks(low: float, high: float):
    ticks = ticks_of(low, high)
    assert 3 <= len(ticks) <= 9
    assert sorted(ticks) == ticks


def test_limits_hold_all_values_and_a_single_value():
    low, high = style.log_limits(np.array([0.5, 80.0]))
    assert low < 0.5 < 80 < high
    low, high = style.log_limits(np.array([3.0, 3.0]))
    assert low < 3 < high


def test_panels_are_made_without_pyplot():
    axes = style.panels(5, None)
    assert len({ax.figure for ax in axes}) == 1
    assert plt.get_fignums() == []


def test_the_callers_axes_are_used_and_counted():
    given = Figure().subplots(1, 2)
    assert list(style.panels(2, given)) == list(given)
    with pytest.raises(ConfigError, match="got 2 Axes and the picture has 3 panels"):
        style.panels(3, given)


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch: pytest.MonkeyPatch):
    axes = style.panels(1, None)
    save_figure(axes, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(axes[0], tmp_path / "b.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_unknown_format_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"ending in \.docx cannot be written; allowed are .*png"):
        save_figure(style.panels(1, None), tmp_path / "a.docx")
