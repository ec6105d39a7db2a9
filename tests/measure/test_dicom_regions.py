"""Regions from RTSTRUCT and SEG, with volumes known by geometry and by another reader."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError
from bayesdose.measure.images import Image, Regions, Scan

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")
highdicom = pytest.importorskip("highdicom")


def _load():
    path = Path(__file__).with_name("dicom_files.py")
    spec = importlib.util.spec_from_file_location("dicom_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = _load()
#: Grid of 60 x 50 x 20 voxels of 2 x 2 x 4 mm, its first voxel 60 mm to the left and 50 behind.
SIZE = (60, 50, 20)
AFFINE = np.array([[2.0, 0, 0, -60], [0, 2, 0, -50], [0, 0, 4, 10], [0, 0, 0, 1]])
CENTRE = np.array([0.3, 0.4, 48.0])


def grid(affine: np.ndarray = AFFINE, size: tuple[int, ...] = SIZE, **scan: str | None) -> Image:
    scan = {"frame_of_reference": files.SPACE} | scan
    return Image(np.zeros(size, np.float32), affine, "pet", Scan("PT", **scan))


def table(*labels: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": list(labels),
            "site_id": [f"T{k}" for k in range(len(labels))],
            "tissue": "tumour",
            "side": "L",
        }
    )


def circle(radius: float, z: float, centre=(0.3, 0.4), count: int = 90) -> np.ndarray:
    """Points of a circle, given to the right and forward, in DICOM's axes."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    return np.column_stack([-x, -y, np.full(count, z)])


def sphere(radius: float, step: float, start: float = 0.0) -> list:
    heights = np.arange(-radius + start, radius, step)
    return [
        files.outline(circle(np.sqrt(radius**2 - h**2), CENTRE[2] + h))
        for h in heights
        if abs(h) < radius
    ]


def tube(radius: float, z: np.ndarray, **kwargs) -> list:
    return [files.outline(circle(radius, one, **kwargs)) for one in z]


Z = np.arange(30.0, 70.0, 4.0)


def volume_ml(found: Regions, label: int = 1) -> float:
    return float((found.image.values == label).sum() * np.prod(found.image.spacing_mm) / 1000)


# ---------------------------------------------------------------- RTSTRUCT


def test_tube_in_its_slices(tmp_path):
    path = files.structures(tmp_path / "rt.dcm", {(4, "Tumour"): tube(15, Z)})
    found = measure.read_regions(path, table("Tumour"), like=grid())
    assert found.labels["label"].tolist() == [4]
    assert found.labels["roi_name"].tolist() == ["Tumour"]
    assert found.labels["side"].tolist() == ["L"]
    assert found.image.values.dtype == np.int32
    places = np.indices(SIZE).reshape(3, -1)
    x, y, z = AFFINE[:3, :3] @ places + AFFINE[:3, 3:]
    inside = ((x - 0.3) ** 2 + (y - 0.4) ** 2 < 15**2) & (z >= 30) & (z < 70)
    assert ((found.image.values.reshape(-1) > 0) != inside).sum() <= 4
    assert set(np.unique(np.nonzero(found.image.values)[2])) == set(range(5, 15))


@pytest.mark.parametrize("label", [4, "4", 4.0, " Tumour ", np.int64(4)])
def test_labels_by_number_or_name(tmp_path, label):
    path = files.structures(tmp_path / "rt.dcm", {(4, "Tumour"): tube(15, Z)})
    assert measure.read_regions(path, table(label), like=grid()).labels["label"].tolist() == [4]


def test_hole_and_keyhole(tmp_path):
    """Two ways to draw a ring; both leave the hole out."""
    ring = tube(18, Z) + tube(8, Z)
    joined = [
        files.outline(np.vstack([outer, outer[:1], inner[::-1], inner[-1:]]))
        for outer, inner in ((circle(18, z), circle(8, z)) for z in Z)
    ]
    path = files.structures(tmp_path / "rt.dcm", {(1, "ring"): ring})
    first = measure.read_regions(path, table("ring"), like=grid())
    path = files.structures(tmp_path / "key.dcm", {(1, "ring"): joined})
    second = measure.read_regions(path, table("ring"), like=grid())
    np.testing.assert_array_equal(first.image.values, second.image.values)
    assert volume_ml(first) == pytest.approx(np.pi * (18**2 - 8**2) * 40 / 1000, rel=0.01)


@pytest.mark.parametrize("step", [1.0, 2.5, 3.0, 4.0, 5.0])
@pytest.mark.parametrize("start", [0.0, 0.7])
def test_sphere_drawn_on_other_slices(tmp_path, step, start):
    """Volume within what sampling of slices allows."""
    path = files.structures(tmp_path / "rt.dcm", {(1, "s"): sphere(18, step, start)})
    found = measure.read_regions(path, table(1), like=grid())
    assert volume_ml(found) == pytest.approx(4 / 3 * np.pi * 18**3 / 1000, rel=0.05)


@pytest.mark.parametrize("step", [1.0, 2.0, 4.0, 5.0, 8.0])
def test_tube_drawn_on_other_slices(tmp_path, step):
    """40 mm from 28 to 68 mm, whose ends are ends of slabs and of slices."""
    z = np.arange(28 + step / 2, 68, step)
    path = files.structures(tmp_path / "rt.dcm", {(1, "tube"): tube(15, z)})
    found = measure.read_regions(path, table(1), like=grid())
    assert set(np.unique(np.nonzero(found.image.values)[2])) == set(range(5, 15))
    assert volume_ml(found) == pytest.approx(np.pi * 15**2 * 40 / 1000, rel=0.02)


def test_slabs_that_end_between_two_slices(tmp_path):
    """Planes half-way between slices: as many slices as planes, not one more."""
    path = files.structures(tmp_path / "rt.dcm", {(1, "tube"): tube(15, Z + 2)})
    found = measure.read_regions(path, table(1), like=grid())
    assert len(np.unique(np.nonzero(found.image.values)[2])) == len(Z)


@pytest.mark.parametrize("shift", [0.0, 1e-10, -1e-10])
def test_outline_along_centres(tmp_path, shift):
    """A square from centre to centre has its own area, 4 by 4 voxels, and not 5 by 5."""
    affine = AFFINE.copy()
    affine[:2, 3] += shift
    square = np.array([[0, 0], [8, 0], [8, 8], [0, 8]]) * [-1, -1]
    outlines = [files.outline(np.column_stack([square, np.full(4, z)])) for z in Z]
    beside = [files.outline(np.column_stack([square - [8, 0], np.full(4, z)])) for z in Z]
    path = files.structures(tmp_path / "rt.dcm", {(1, "a"): outlines, (2, "b"): beside})
    found = measure.read_regions(path, table(1, 2), like=grid(affine))
    assert [(found.image.values == k).sum() for k in (1, 2)] == [16 * 10] * 2


def test_parts_far_apart(tmp_path):
    """The gap between two parts is no slab."""
    z = np.concatenate([Z[:3], Z[7:]])
    path = files.structures(tmp_path / "rt.dcm", {(1, "a"): tube(15, z)})
    found = measure.read_regions(path, table(1), like=grid())
    assert set(np.unique(np.nonzero(found.image.values)[2])) == {5, 6, 7, 12, 13, 14}


def test_one_plane(tmp_path):
    """As thick as the slices that others were drawn on."""
    regions = {(1, "flat"): tube(9, Z[:1]), (2, "b"): tube(6, np.arange(30, 60, 8), centre=(30, 0))}
    path = files.structures(tmp_path / "rt.dcm", regions)
    found = measure.read_regions(path, table(1, 2), like=grid())
    assert set(np.unique(np.nonzero(found.image.values == 1)[2])) == {4, 5}
    path = files.structures(tmp_path / "alone.dcm", {(1, "flat"): tube(9, Z[:1])})
    found = measure.read_regions(path, table(1), like=grid())
    assert set(np.unique(np.nonzero(found.image.values)[2])) == {5}


def test_one_plane_with_its_thickness(tmp_path):
    [flat] = tube(9, Z[:1])
    flat.ContourSlabThickness = 12.0
    path = files.structures(tmp_path / "rt.dcm", {(1, "flat"): [flat]})
    found = measure.read_regions(path, table(1), like=grid())
    assert set(np.unique(np.nonzero(found.image.values)[2])) == {4, 5, 6}


def test_turned_in_its_plane_and_other_axes(tmp_path):
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]]
    path = files.structures(tmp_path / "rt.dcm", {(1, "s"): tube(15, Z)})
    found = measure.read_regions(path, table(1), like=grid(turn @ AFFINE))
    assert volume_ml(found) == pytest.approx(np.pi * 15**2 * 40 / 1000, rel=0.02)
    # Sagittal outlines: planes perpendicular to the first axis.
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    sagittal = [
        files.outline(
            np.column_stack([np.full(100, x), 15 * np.cos(angle), 48 + 15 * np.sin(angle)])
        )
        for x in np.arange(-20.0, 20.0, 2.0)
    ]
    path = files.structures(tmp_path / "sag.dcm", {(1, "s"): sagittal})
    found = measure.read_regions(path, table(1), like=grid())
    assert volume_ml(found) == pytest.approx(np.pi * 15**2 * 40 / 1000, rel=0.02)


@pytest.mark.parametrize("ring", [False, True])
def test_voxels_are_those_of_mirp(tmp_path, ring):
    mirp = pytest.importorskip("mirp")
    stored = np.zeros((20, 30, 34), np.int16)
    pet = files.pet_series(tmp_path / "pet", stored, spacing=(3.0, 3.0, 4.0))
    centre = (20.0 - 3 * 16.4, 30.0 - 3 * 14.3)
    z = np.arange(104.0, 176.0, 4.0)
    if ring:
        outlines = tube(30.1, z, centre=centre) + tube(12.2, z, centre=centre)
        expected = np.pi * (30.1**2 - 12.2**2) * 72 / 1000
    else:
        radii = np.sqrt(30.1**2 - (z - 137.5) ** 2, where=abs(z - 137.5) < 30, out=np.zeros(18))
        outlines = [
            files.outline(circle(radius, one, centre=centre))
            for radius, one in zip(radii, z, strict=True)
            if radius
        ]
        expected = 4 / 3 * np.pi * 30.1**3 / 1000
    path = files.structures(tmp_path / "rt" / "rt.dcm", {(1, "s"): outlines})
    theirs = mirp.extract_images(
        image=str(pet),
        mask=str(path),
        image_modality="pet",
        mask_modality="rtstruct",
        image_export_format="dict",
    )[0][1][0]["mask"]
    like = measure.read_image(pet)
    found = measure.read_regions(path, table(1), like=like)
    mine = found.image.values.transpose(2, 1, 0)[:, ::-1, ::-1]
    assert volume_ml(found) == pytest.approx(expected, rel=0.02)
    np.testing.assert_array_equal(mine > 0, theirs > 0)


def test_others_are_left_out_with_a_word(tmp_path):
    regions = {(1, "a"): tube(15, Z), (2, "External"): tube(24, Z), (3, "empty"): []}
    path = files.structures(tmp_path / "rt.dcm", regions)
    with pytest.warns(UserWarning, match=r"left out: 2 \(External\), 3 \(empty\)"):
        found = measure.read_regions(path, table("a"), like=grid())
    assert np.unique(found.image.values).tolist() == [0, 1]


def test_a_table_for_many_files(tmp_path):
    """Rows of regions that this file lacks, or that are empty in it, are left out."""
    path = files.structures(tmp_path / "rt.dcm", {(3, "a"): tube(15, Z), (4, "empty"): []})
    labels = table("gone", "a", "empty", 9)
    with pytest.warns(UserWarning, match=r"region 4 \(empty\) has no voxel on pet.*left out"):
        found = measure.read_regions(path, labels, like=grid(), all_there=False)
    assert found.labels["label"].tolist() == [3]
    assert found.labels["site_id"].tolist() == ["T1"]


def refused(path: Path, labels: pd.DataFrame, words: str, like: Image | None = None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(MeasureError, match=words) as caught:
            measure.read_regions(path, labels, like=grid() if like is None else like)
    assert "secret" not in str(caught.value).lower()
    assert str(caught.value).startswith(path.name)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory) -> Path:
    """RTSTRUCT of regions of which each has something wrong."""
    slope = circle(10, 48.0)
    slope[:, 2] += slope[:, 0] * 0.1
    regions = {
        (1, "a"): tube(15, Z),
        (2, "b"): tube(15, Z[:2], centre=(20, 0.4)),
        (5, "empty"): [],
        (6, "thin"): tube(0.3, Z, centre=(1, 1)),
        (7, "same"): tube(5, Z),
        (8, "same"): tube(5, Z),
        (9, "2"): tube(5, Z),
        (0, "zero"): tube(5, Z),
        (10, "wide"): tube(70, Z),
        (11, "high"): tube(5, Z + 40),
        (12, "open"): [files.outline(circle(5, 48.0), "OPEN_PLANAR")],
        (13, "oblique"): [files.outline(slope)],
        (14, "sparse"): tube(5, Z[::2]),
        (15, "far"): tube(5, np.array([30.0, 60.0])),
        (16, "uneven"): tube(5, np.array([30.0, 34.0, 40.0, 44.0])),
    }
    return files.structures(tmp_path_factory.mktemp("spoilt") / "rt.dcm", regions)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (table("a", "none"), r"has no region none; it has 1 \(a\), 2 \(b\)"),
        (table(99), "has no region 99"),
        (table("empty"), r"region 5 \(empty\) has no voxel on pet"),
        (table("thin"), r"region 6 \(thin\) has no voxel"),
        (table("a", 1), "named twice"),
        (table("same"), "same means regions 7, 8; use numbers"),
        (table("2"), "2 means regions 2, 9"),
        (table("zero"), "region zero has the number 0"),
        (table("a", "b"), "regions a and b share 80 voxels of pet"),
        (table("wide"), r"region 10 \(wide\) reaches .* mm beyond pet"),
        (table("high"), r"region 11 \(high\) reaches .* mm beyond pet"),
        (table("open"), "outline of the type OPEN_PLANAR; allowed is CLOSED_PLANAR"),
        (table("oblique"), r"region 13 \(oblique\) has outlines oblique to the slices of pet"),
        (table("sparse"), "planes of outlines 8 mm apart, and others in the file 4 mm"),
        (table("far"), "planes of outlines 30 mm apart"),
        (table("uneven"), "interpolate missing outlines"),
    ],
)
def test_structures_that_cannot_be(spoilt, labels, words):
    refused(spoilt, labels, words)


def test_files_of_regions_that_do_not_belong(tmp_path):
    regions = {(1, "a"): tube(15, Z)}
    elsewhere = files.structures(tmp_path / "rt.dcm", regions, space="1.9.9")
    refused(elsewhere, table(1), "FrameOfReferenceUID is not that of pet")
    measure.read_regions(elsewhere, table(1), like=grid(frame_of_reference=None))
    path = files.structures(tmp_path / "rt.dcm", regions)
    refused(path, table(1), "another PatientID than pet", grid(patient="P-000000000000"))
    whole = path.read_bytes()
    for size in (200, 1200, len(whole) // 2, len(whole) - 200):
        path.write_bytes(whole[:size])
        refused(path, table(1), "truncated")
    path.write_text("no DICOM")
    refused(path, table(1), "is no DICOM file")
    refused(files.spect_file(tmp_path / "s.dcm"), table(1), "allowed are RTSTRUCT and SEG")
    with pytest.raises(MeasureError, match="need like="):
        measure.read_regions(path, table(1))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"12.5000", b"twelve.", "something other than numbers"),
        (b"12.5000", b"12.5\\00", "allowed are 3 finite ones a point"),
        (b"7 ", b"4 ", "lists region 4 twice"),
    ],
)
def test_damaged_structures(tmp_path, before, after, words):
    square = np.array([[12.5, 0, 48], [0, 0, 48], [0, 10, 48]])
    regions = {(4, "a"): [files.outline(square)], (7, "b"): []}
    path = files.structures(tmp_path / "rt.dcm", regions)
    path.write_bytes(path.read_bytes().replace(before, after))
    refused(path, table("a"), words)


def test_a_region_without_a_number(tmp_path):
    path = files.structures(tmp_path / "rt.dcm", {(4, "a"): tube(15, Z)})
    dataset = files.read(path)
    del dataset.StructureSetROISequence[0].ROINumber
    refused(files.save(dataset, path), table("a"), "a region has no number")


def test_points_have_no_area(tmp_path):
    point = files.outline(circle(5, 60.0)[:2])
    path = files.structures(tmp_path / "rt.dcm", {(1, "a"): [*tube(15, Z), point]})
    with_point = measure.read_regions(path, table(1), like=grid())
    path = files.structures(tmp_path / "rt.dcm", {(1, "a"): tube(15, Z)})
    without = measure.read_regions(path, table(1), like=grid())
    np.testing.assert_array_equal(with_point.image.values, without.image.values)


# ---------------------------------------------------------------- SEG


def source(folder: Path) -> tuple[Image, list]:
    """PET of 5 x 6 voxels in 4 slices, and its headers in the order of slices."""
    files.pet_series(folder)
    headers = [files.read(one) for one in sorted(folder.iterdir())]
    headers.sort(key=lambda one: one.ImagePositionPatient[2])
    return measure.read_image(folder), headers


def segmentation(path: Path, headers: list, masks: np.ndarray, **values) -> Path:
    """SEG of masks of shape (slice, row, column, segment)."""
    code = highdicom.sr.CodedConcept
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=k + 1,
            segment_label=f"lesion {k + 1}",
            segmented_property_category=code("49755003", "SCT", "Morphologic abnormality"),
            segmented_property_type=code("108369006", "SCT", "Neoplasm"),
            algorithm_type="MANUAL",
        )
        for k in range(masks.shape[-1])
    ]
    seg = highdicom.seg.Segmentation(
        headers,
        masks,
        values.pop("segmentation_type", "BINARY"),
        described,
        series_instance_uid="1.2.3.8",
        series_number=8,
        sop_instance_uid="1.2.3.8.1",
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        **values,
    )
    files.change(seg, {"PatientName": "Secret^Name"})
    seg.save_as(path)
    return path


def masks_of(*voxels: list[tuple[int, int, int]]) -> np.ndarray:
    masks = np.zeros((4, 5, 6, len(voxels)), np.uint8)
    for k, some in enumerate(voxels):
        for one in some:
            masks[(*one, k)] = 1
    return masks


FIRST = [(0, 0, 1), (0, 1, 1), (3, 4, 5)]
SECOND = [(2, 2, 2)]


def test_segments_lie_on_their_voxels(tmp_path):
    """Marked voxels hold the values that were stored there."""
    like, headers = source(tmp_path / "pet")
    path = segmentation(tmp_path / "seg.dcm", headers, masks_of(FIRST, SECOND))
    found = measure.read_regions(path, table("lesion 2", 1), like=like)
    assert found.labels["label"].tolist() == [2, 1]
    assert found.labels["roi_name"].tolist() == ["lesion 2", "lesion 1"]
    values = files.pet_stored() * files.pet_slopes()[:, None, None]
    for label, voxels in ((1, FIRST), (2, SECOND)):
        expected = sorted(values[one] for one in voxels)
        assert sorted(like.values[found.image.values == label]) == pytest.approx(expected)
    np.testing.assert_array_equal(found.image.affine, like.affine)


def test_one_segment_of_one_slice(tmp_path):
    like, headers = source(tmp_path / "pet")
    path = segmentation(tmp_path / "seg.dcm", headers, masks_of(SECOND))
    found = measure.read_regions(path, table("1"), like=like)
    values = files.pet_stored() * files.pet_slopes()[:, None, None]
    assert like.values[found.image.values == 1] == pytest.approx(values[SECOND[0]])


def test_segments_of_a_part_of_the_image(tmp_path):
    """A SEG of some slices, in the opposite order."""
    like, headers = source(tmp_path / "pet")
    masks = masks_of(FIRST)[::-1][:2]
    path = segmentation(tmp_path / "seg.dcm", headers[::-1][:2], masks)
    found = measure.read_regions(path, table(1), like=like)
    values = files.pet_stored() * files.pet_slopes()[:, None, None]
    assert like.values[found.image.values == 1] == pytest.approx(values[FIRST[2]])


def test_segments_that_cannot_be(tmp_path):
    like, headers = source(tmp_path / "pet")
    path = segmentation(tmp_path / "seg.dcm", headers, masks_of(FIRST, SECOND, [], FIRST[:2]))
    refused(path, table("lesion 3"), "has no voxel on pet", like)
    refused(path, table("lesion 9"), "has no region lesion 9", like)
    refused(path, table(1, 4), "regions lesion 1 and lesion 4 share 2 voxels of pet", like)
    for moved, words in (
        (np.diag([1, 1, 1.1, 1]), "are not voxels of pet"),
        (np.array([[1, 0, 0, 1.2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "1.2 mm apart"),
        (np.diag([0.5, 0.5, 1, 1]), "resample the segmentation"),
    ):
        other = Image(like.values, moved @ like.affine, "pet", like.scan)
        refused(path, table(1), words, other)
    cropped = Image(like.values[:, :, :3], like.affine, "pet", like.scan)
    refused(path, table(1), r"region 1 \(lesion 1\) reaches beyond pet", cropped)
    space = Scan("PT", frame_of_reference="1.9")
    refused(path, table(1), "FrameOfReferenceUID", Image(like.values, like.affine, "pet", space))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    refused(path, table(1), "truncated", like)


def test_frames_of_a_segmentation_that_are_no_grid(tmp_path):
    like, headers = source(tmp_path / "pet")
    path = segmentation(tmp_path / "seg.dcm", headers, masks_of([(k, 0, 0) for k in range(4)]))
    dataset = files.read(path)
    frame = dataset.PerFrameFunctionalGroupsSequence[2]
    frame.PlanePositionSequence[0].ImagePositionPatient[2] += 1.7
    files.save(dataset, path)
    refused(path, table(1), "not spaced regularly", like)


@pytest.mark.parametrize(("thickness", "fits"), [(5.0, True), (3.0, False)])
def test_thickness_of_a_single_slice(tmp_path, thickness, fits):
    """Without the distance of slices, a single one fits by its thickness."""
    like, headers = source(tmp_path / "pet")
    path = segmentation(tmp_path / "seg.dcm", headers[2:3], masks_of(SECOND)[2:3])
    dataset = files.read(path)
    [measures] = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    files.change(measures, {"SpacingBetweenSlices": None, "SliceThickness": thickness})
    files.save(dataset, path)
    if fits:
        assert (measure.read_regions(path, table(1), like=like).image.values == 1).sum() == 1
    else:
        refused(path, table(1), "are not voxels of pet", like)


def test_fractions(tmp_path):
    like, headers = source(tmp_path / "pet")
    path = segmentation(
        tmp_path / "seg.dcm",
        headers,
        masks_of(FIRST).astype(np.float32) * 0.5,
        segmentation_type="FRACTIONAL",
        fractional_type="OCCUPANCY",
    )
    refused(path, table(1), "type FRACTIONAL; allowed is BINARY", like)
