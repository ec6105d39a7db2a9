from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bayesdose.errors import ConfigError
from bayesdose.measure import Image, Regions, Scan, read_image, read_regions
from bayesdose.report import plot_slices, save_figure, slices_data
from bayesdose.report._picture import pixel_edges
from bayesdose.simulate import Phantom, pet_volume

SPACING = (4.0, 5.0, 3.0)
ODD = "T1 <b>$x$"
# one on the patient's right, at the back, up; one on the left, in front, further down
SPHERES = pd.DataFrame(
    [
        (1, ODD, "tumour", 100.0, 40.0, 90.0, 24.0, 10.0),
        (4, "kidney_l", "kidney", 40.0, 80.0, 45.0, 40.0, 20.0),
    ],
    columns=[
        *("label", "site_id", "tissue", "x_mm", "y_mm", "z_mm", "diameter_mm", "concentration")
    ],
)


def made(spheres: pd.DataFrame = SPHERES) -> Phantom:
    return pet_volume(
        spheres,
        shape=(36, 26, 44),
        spacing_mm=SPACING,
        background=0.0,
        fwhm_mm=0.0,
        counts_per_unit=None,
    )


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return made()


def blackest(panel: Axes) -> np.ndarray:
    """Where the black pixels are on paper, as shares of the picture, from its lower left."""
    for text in panel.texts:
        text.set_visible(False)
    canvas = FigureCanvasAgg(panel.figure)
    canvas.draw()
    left, right, bottom, top = panel.images[0].get_extent()
    corners = panel.transData.transform([[left, bottom], [right, top]])
    (x0, y0), (x1, y1) = np.sort(corners, axis=0).round().astype(int)
    paper = np.asarray(canvas.buffer_rgba())[::-1][y0:y1, x0:x1, :3]
    up, across = (place.mean() for place in np.nonzero((paper < 40).all(axis=2)))
    return np.array([across / (x1 - x0), up / (y1 - y0)])


def text_boxes(panel: Axes) -> dict[str, Bbox]:
    """Places of the texts on paper, without the lines that lead to them."""
    panel.figure.draw_without_rendering()
    return {text.get_text(): Text.get_window_extent(text) for text in panel.texts}


def test_the_patients_right_is_on_the_left_of_the_picture():
    """A hot sphere at the right, at the back and high up."""
    one = made(SPHERES.iloc[:1])
    coronal, axial = plot_slices(one.image, one.regions, units="SUV")
    # centres over extents, from the first voxel's outer edge: x 102/144, y 42.5/130, z 91.5/132
    np.testing.assert_allclose(blackest(coronal), [1 - 102 / 144, 91.5 / 132], atol=0.02)
    np.testing.assert_allclose(blackest(axial), [1 - 102 / 144, 42.5 / 130], atol=0.02)


def test_a_file_that_runs_to_the_left_gives_the_same_picture(tmp_path):
    """As scanners write it: x to the patient's left, from the right edge."""
    import nibabel as nib

    one = made(SPHERES.iloc[:1])
    affine = np.diag([-4.0, 5.0, 3.0, 1.0])
    affine[0, 3] = 35 * 4.0
    for name, image in (("pet", one.image), ("labels", one.regions.image)):
        values = image.values[::-1].astype(np.float32)
        nib.Nifti1Image(values, affine).to_filename(tmp_path / f"{name}.nii.gz")
    image = read_image(tmp_path / "pet.nii.gz")
    labels = one.regions.labels[["label", "site_id", "tissue"]]
    regions = read_regions(tmp_path / "labels.nii.gz", labels)
    (coronal,) = plot_slices(image, regions, planes="coronal", units="SUV")
    np.testing.assert_allclose(blackest(coronal), [1 - 102 / 144, 91.5 / 132], atol=0.02)
    pd.testing.assert_frame_equal(
        slices_data(image, regions), slices_data(one.image, one.regions), check_exact=False
    )


def test_letters_say_the_sides_and_names_stand_on_theirs(phantom):
    for panel in plot_slices(phantom.image, phantom.regions, units="SUV"):
        boxes = text_boxes(panel)
        middle = panel.transData.transform([72.0 - 2.0, 0.0])[0]
        assert boxes["R"].x1 < middle < boxes["L"].x0
        assert boxes["T1 <b>\\$x\\$\ntumour"].x1 < boxes["R"].x0
        assert boxes["kidney_l\nkidney"].x0 > boxes["L"].x1


def test_pixels_have_their_shape(phantom):
    for panel in plot_slices(phantom.image, phantom.regions, units="SUV"):
        panel.figure.draw_without_rendering()
        across, up = np.abs(np.diff(panel.transData.transform([[0, 0], [10, 10]]), axis=0))[0]
        assert across == pytest.approx(up)
    assert panel.images[0].get_extent() == [-2.0, 142.0, -2.5, 127.5]


def test_slices_go_where_a_region_is_largest(phantom):
    """Brute force over all slices."""
    data = slices_data(phantom.image, phantom.regions, sites=["kidney_l"])
    values, labels = phantom.image.values, phantom.regions.image.values
    assert data["plane"].tolist() == ["coronal", "axial"]
    assert set(data["through"]) == set(data["site_id"]) == {"kidney_l"}
    for row, axis in zip(data.to_dict("records"), (1, 2), strict=True):
        mask = np.moveaxis(labels, axis, 0) == 4
        areas = mask.reshape(len(mask), -1).sum(1)
        assert areas[row["slice"]] == areas.max()
        assert row["position_mm"] == pytest.approx(row["slice"] * SPACING[axis])
        voxel_mm2 = np.prod(SPACING) / SPACING[axis]
        assert row["area_mm2"] == pytest.approx(areas.max() * voxel_mm2)
        inside = np.moveaxis(values, axis, 0)[row["slice"]][mask[row["slice"]]]
        assert row["mean"] == pytest.approx(inside.mean())
        assert row["max"] == inside.max() == pytest.approx(20.0)
    # of a circle of 40 mm; voxels of 4 x 5 x 3 mm cut its edge
    np.testing.assert_allclose(data["area_mm2"], np.pi * 20**2, rtol=0.1)


def test_the_middle_of_equally_large_slices_is_taken():
    values = np.zeros((8, 8, 9))
    values[2:5, 2:5, 3:8] = 1
    image = Image(values, np.eye(4))
    regions = Regions(image, pd.DataFrame([{"label": 1, "site_id": "a", "tissue": "b"}]))
    data = slices_data(image, regions, sites="a", planes="axial")
    assert data["slice"].tolist() == [5]


def test_projections_are_maxima_along_the_line_of_sight(phantom):
    data = slices_data(phantom.image, phantom.regions)
    assert data["through"].isna().all()
    assert data["slice"].isna().all()
    assert data["site_id"].tolist() == [ODD, "kidney_l"] * 2
    axes = plot_slices(phantom.image, phantom.regions, units="SUV")
    labels = phantom.regions.image.values
    for panel, axis in zip(axes, (1, 2), strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), phantom.image.values.max(axis).T)
        area = (labels == 1).any(axis).sum() * np.prod(SPACING) / SPACING[axis]
        row = data[(data["plane"] == ("coronal" if axis == 1 else "axial"))].iloc[0]
        assert row["area_mm2"] == pytest.approx(area)


def test_other_regions_in_a_slice_are_outlined_too(phantom):
    near = SPHERES.assign(y_mm=[80.0, 80.0])
    found = made(near)
    data = slices_data(found.image, found.regions, sites=["kidney_l"], planes=["coronal"])
    assert data["site_id"].tolist() == [ODD, "kidney_l"]
    (panel,) = plot_slices(
        found.image, found.regions, sites=["kidney_l"], planes=["coronal"], units="SUV"
    )
    assert "kidney_l, coronal" in panel.get_title(loc="left")
    # black is the maximum of the region looked at, not that of its neighbour
    assert panel.images[0].get_clim() == (0.0, pytest.approx(20.0))


def test_outlines_enclose_the_area_of_the_table(phantom):
    data = slices_data(phantom.image, phantom.regions, sites=["kidney_l"])
    axes = plot_slices(phantom.image, phantom.regions, sites=["kidney_l"], units="SUV")
    for panel, area in zip(axes, data["area_mm2"], strict=True):
        _, outline = panel.collections
        edges = np.array(outline.get_segments())
        # a convex outline is crossed twice by each level line: width times height of the row
        upright = edges[edges[:, 0, 0] == edges[:, 1, 0]]
        y, dy = upright[:, :, 1].mean(1), np.abs(np.diff(upright[:, :, 1], axis=1))[:, 0]
        rows = pd.DataFrame({"y": y.round(6), "x": upright[:, 0, 0], "dy": dy}).groupby("y")
        width = rows["x"].max() - rows["x"].min()
        assert (width * rows["dy"].first()).sum() == pytest.approx(area)
        assert (rows.size() == 2).all()


def test_edges_of_one_pixel_at_the_border_are_four():
    mask = np.zeros((3, 2), bool)
    mask[2, 1] = True
    edges = pixel_edges(mask, np.array([0.0, 3.0, 10.0, 14.0]))
    assert sorted(edges.reshape(4, 4).tolist()) == [
        [2.0, 12.0, 2.0, 14.0],
        [2.0, 12.0, 3.0, 12.0],
        [2.0, 14.0, 3.0, 14.0],
        [3.0, 12.0, 3.0, 14.0],
    ]


def test_a_field_is_cut_about_the_region_and_never_through_it(phantom):
    how = {"sites": ["kidney_l"], "planes": ["axial"], "units": "SUV"}
    (panel,) = plot_slices(phantom.image, phantom.regions, field_mm=80.0, **how)
    left, right, bottom, top = panel.images[0].get_extent()
    assert left <= 40 - 36 < 40 + 36 <= right <= 40 + 48
    assert bottom <= 80 - 35 < 80 + 35 <= top <= 130
    (panel,) = plot_slices(phantom.image, phantom.regions, field_mm=1.0, **how)
    left, right, bottom, top = panel.images[0].get_extent()
    assert left <= 20 < 60 <= right
    whole = slices_data(phantom.image, phantom.regions, sites="kidney_l")
    cut = slices_data(phantom.image, phantom.regions, sites="kidney_l", field_mm=1.0)
    pd.testing.assert_frame_equal(whole, cut)


def test_names_beside_a_picture_do_not_overlap():
    n = 8
    crowd = pd.DataFrame(
        {
            "label": np.arange(1, n + 1),
            "site_id": [f"node {i}" for i in range(n)],
            "tissue": "tumour",
            "x_mm": 20.0,
            "y_mm": 20.0 + 11.0 * np.arange(n),
            "z_mm": 50.0,
            "diameter_mm": 10.0,
            "concentration": 5.0,
        }
    )
    phantom = made(crowd)
    for panel in plot_slices(phantom.image, phantom.regions, units="SUV"):
        found = text_boxes(panel)
        boxes = [box for text, box in found.items() if text.startswith("node")]
        boxes.sort(key=lambda box: box.y0)
        assert len(boxes) == n
        assert all(a.y1 <= b.y0 + 1 for a, b in pairwise(boxes))
        assert all(box.x1 <= panel.figure.bbox.x1 for box in boxes)


def test_unit_and_window(phantom):
    image = replace(phantom.image, scan=Scan("PT", units="Bq/mL"))
    for given, how, unit in (
        (image, {}, "Bq/mL"),
        (phantom.image, {"units": "$U$", "window": (1.0, 15.0)}, r"\$U\$"),
    ):
        axes = plot_slices(given, phantom.regions, planes=["axial"], **how)
        (bar,) = (ax for ax in axes[0].figure.axes if ax is not axes[0])
        assert bar.get_ylabel() == unit
    assert axes[0].images[0].get_clim() == (1.0, 15.0)
    with pytest.raises(ConfigError, match="nothing says its unit; give it, such as units='SUV'"):
        plot_slices(phantom.image, phantom.regions)
    with pytest.raises(ConfigError, match="window: white at 3 and black at 3"):
        plot_slices(phantom.image, phantom.regions, units="SUV", window=(3.0, 3.0))


def test_names_are_shown_literally_and_the_callers_axes_are_used(phantom, tmp_path):
    given = Figure(figsize=(8, 4)).subplots(1, 2)
    axes = plot_slices(phantom.image, phantom.regions, sites=[ODD], units="SUV", ax=given)
    assert list(axes) == list(given)
    assert axes[0].get_title(loc="left") == r"T1 <b>\$x\$, coronal"
    save_figure(axes, tmp_path / "a.png")
    with pytest.raises(ConfigError, match="got 1 Axes and the picture has 2 panels"):
        plot_slices(phantom.image, phantom.regions, units="SUV", ax=given[0])


@pytest.mark.parametrize(
    ("turned", "allowed"),
    [
        (np.diag([4.0, 5.0, 3.0, 1.0]), True),
        (np.diag([-4.0, 5.0, 3.0, 1.0]), False),
        (np.diag([-4.0, -5.0, 3.0, 1.0]), False),
        (np.diag([4.0, 5.0, 3.0, 1.0])[[1, 0, 2, 3]], False),
    ],
)
def test_axes_in_another_order_are_refused(phantom, turned, allowed):
    image = replace(phantom.image, affine=turned)
    regions = replace(phantom.regions, image=replace(phantom.regions.image, affine=turned))
    if allowed:
        slices_data(image, regions)
        return
    with pytest.raises(ConfigError, match=r"do not run right, forward and up.*read_image"):
        slices_data(image, regions)


def test_a_tilted_image_keeps_distances_along_its_axes(phantom):
    turn = np.deg2rad(10)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = tilt @ phantom.image.affine
    regions = replace(phantom.regions, image=replace(phantom.regions.image, affine=affine))
    data = slices_data(
        replace(phantom.image, affine=affine), regions, sites=[ODD, "kidney_l"], planes="axial"
    )
    apart = data["position_mm"].diff().iloc[-1]
    assert apart == pytest.approx(3.0 * data["slice"].diff().iloc[-1])


def test_what_does_not_fit_is_refused(phantom):
    image, regions = phantom.image, phantom.regions
    with pytest.raises(ConfigError, match=r"image: got ndarray; give a measure\.Image"):
        slices_data(image.values, regions)
    with pytest.raises(ConfigError, match=r"regions: got Image; give a measure\.Regions"):
        slices_data(image, image)
    with pytest.raises(ConfigError, match="has 2 dimensions; give a volume"):
        slices_data(replace(image, values=image.values[0]), regions)
    with pytest.raises(ConfigError, match="resample one to the other first"):
        slices_data(replace(image, values=image.values[1:]), regions)
    with pytest.raises(ConfigError, match=r"sites: got 'T9'; allowed are T1 .*, kidney_l"):
        slices_data(image, regions, sites=["T9"])
    with pytest.raises(ConfigError, match="planes: got 'oblique'; allowed are coronal, axial"):
        slices_data(image, regions, planes=["oblique"])
    with pytest.raises(ConfigError, match="give one or more, each once"):
        slices_data(image, regions, sites=[])
    with pytest.raises(ConfigError, match="give sites too"):
        slices_data(image, regions, field_mm=50.0)
    with pytest.raises(ConfigError, match="field_mm: got -1 mm"):
        slices_data(image, regions, sites=[ODD], field_mm=-1.0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"label": [1, 3]}, r"label 3 \(kidney_l\) has no voxel"),
        ({"label": [1, 9]}, r"label 9 \(kidney_l\) has no voxel"),
        ({"site_id": ["a", "a"]}, "two labels have the site_id 'a'"),
    ],
)
def test_labels_that_say_nothing_are_refused(phantom, labels, message):
    regions = replace(phantom.regions, labels=phantom.regions.labels.assign(**labels))
    with pytest.raises(ConfigError, match=message):
        slices_data(phantom.image, regions)


def test_regions_without_a_row_are_refused(phantom):
    with pytest.raises(ConfigError, match="nothing to outline"):
        slices_data(phantom.image, replace(phantom.regions, labels=phantom.regions.labels.iloc[:0]))
