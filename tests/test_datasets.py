"""Data sets from IDX files: prepared faithfully, cached, and refused in one sentence."""

import gzip
import io
import time
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minisub import datasets, images
from minisub.config import Refused
from minisub.image_config import Data

ORIGINAL = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "mnist"


def idx(array):
    """The bytes of an IDX file."""
    lengths = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + lengths + array.astype(np.uint8).tobytes()


def random_arrays(seed=0, classes=10):
    """Twelve images for training and five for test."""
    rng = np.random.default_rng(seed)
    return [
        part
        for n in (12, 5)
        for part in (rng.integers(256, size=(n, 28, 28)), rng.integers(classes, size=n))
    ]


def write(folder, name, arrays):
    """Packed files of a data set, as it names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(datasets.SOURCES[name].stems, arrays, strict=True):
        (folder / f"{stem}.gz").write_bytes(gzip.compress(idx(array)))
    return str(folder)


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No network, and nothing written to the home."""

    def fail(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(datasets.urllib.request, "urlopen", fail)


def assert_is(found, arrays):
    """`found` holds these images and labels, in this order and in the promised types."""
    assert list(found) == list(datasets.KEYS)
    for key, array in zip(found, arrays, strict=True):
        assert found[key].dtype == (np.uint8 if key.endswith("x") else np.int32)
        expected = array.reshape(len(array), -1) if key.endswith("x") else array
        np.testing.assert_array_equal(found[key], expected)


def assert_refused(action, *words):
    """It is refused at once, in one sentence that has these words."""
    start = time.perf_counter()
    with pytest.raises(Refused) as refusal:
        action()
    message = str(refusal.value)
    assert all(word in message for word in words), message
    assert message.endswith(".") and ". " not in message
    assert time.perf_counter() - start < 5


def test_prepared_mnist_equals_the_original_files(capfd):
    if not ORIGINAL.is_dir():
        pytest.skip("no files of MNIST")
    found = datasets.load("mnist", str(ORIGINAL))
    arrays = []
    for stem in datasets.SOURCES["mnist"].stems:
        raw = gzip.decompress((ORIGINAL / f"{stem}.gz").read_bytes())
        shape = (-1, 28, 28) if "images" in stem else (-1,)
        arrays.append(np.frombuffer(raw[16 if "images" in stem else 8 :], np.uint8).reshape(shape))
    assert_is(found, arrays)
    assert found["train_x"].shape == (60000, 784) and found["test_x"].shape == (10000, 784)
    assert tuple(np.bincount(found["train_y"]).tolist()) == images.COUNTS["mnist"]

    start = time.perf_counter()
    again = datasets.load("mnist")
    assert time.perf_counter() - start < 2, "the second time is from the cache"
    assert_is(again, arrays)

    few = images.load(Data(name="mnist", classes=2))
    assert len(few["train_x"]) == images.examples(Data(name="mnist", classes=2)) == 5923 + 6742
    assert set(few["train_y"]) == set(few["test_y"]) == {0, 1}
    assert not any(capfd.readouterr()), "nothing is printed"


def test_an_idx_file_is_its_header_and_its_values():
    array = np.arange(24).reshape(2, 3, 4)
    found = datasets.parse_idx(idx(array), "x")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(datasets.parse_idx(b"\0\0\x08\1\0\0\0\2\7\5", "x"), [7, 5])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0",
        b"<html>not here</html>",
        b"\0\0\x0d" + idx(np.arange(4))[3:],
        idx(np.arange(4))[:-1],
        idx(np.arange(4)) + b"\0",
        idx(np.arange(4))[:6],
    ],
)
def test_bytes_that_are_no_idx_file_are_refused_by_name(raw):
    assert_refused(lambda: datasets.parse_idx(raw, "some/file"), "some/file")


@pytest.mark.parametrize("name", ["fashion_mnist", "kmnist"])
def test_files_come_from_a_given_folder_or_from_that_of_tensorflow_datasets(
    name, tmp_path, monkeypatch
):
    arrays = random_arrays()
    given = write(tmp_path / "given", name, arrays)
    assert_is(datasets.load(name, given), arrays)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds2"))
    write(tmp_path / "tfds2" / "downloads" / "manual" / name, name, arrays)
    assert_is(datasets.load(name), arrays)


def test_unpacked_files_and_names_with_a_dot_serve_as_well(tmp_path):
    arrays = random_arrays()
    for stem, array in zip(datasets.SOURCES["kmnist"].stems, arrays, strict=True):
        (tmp_path / stem.replace("-idx", ".idx")).write_bytes(idx(array))
    assert_is(datasets.load("kmnist", str(tmp_path)), arrays)


def test_images_of_emnist_are_turned_upright(tmp_path):
    arrays = random_arrays(classes=47)
    given = write(tmp_path / "given", "emnist", arrays)
    upright = [a.swapaxes(1, 2) if a.ndim == 3 else a for a in arrays]
    assert_is(datasets.load("emnist", given), upright)


def test_arrays_are_restored_from_what_is_prepared(tmp_path):
    arrays = random_arrays()
    datasets.load("kmnist", write(tmp_path / "given", "kmnist", arrays))
    (cache,) = (tmp_path / "tfds").rglob("*.npz")
    cache.unlink()
    assert_is(datasets.load("kmnist"), arrays)
    assert cache.exists()


def test_a_cache_does_not_hide_other_files(tmp_path):
    one = write(tmp_path / "one", "kmnist", random_arrays(0))
    two = write(tmp_path / "two", "kmnist", random_arrays(1))
    first = datasets.load("kmnist", one)
    assert_refused(lambda: datasets.load("kmnist", two), str(tmp_path / "two"), "other files")
    np.testing.assert_array_equal(datasets.load("kmnist", one)["train_x"], first["train_x"])


@pytest.mark.parametrize(
    "harm",
    [
        lambda raw: gzip.compress(raw)[:-30],
        lambda raw: b"not packed",
        lambda raw: gzip.compress(raw[:-1]),
        lambda raw: gzip.compress(b"<html>"),
        lambda raw: gzip.compress(idx(np.zeros((12, 8, 8)))),
    ],
)
def test_corrupted_images_are_refused_by_name(harm, tmp_path):
    arrays = random_arrays()
    folder = write(tmp_path / "given", "kmnist", arrays)
    path = tmp_path / "given" / "train-images-idx3-ubyte.gz"
    path.write_bytes(harm(idx(arrays[0])))
    assert_refused(lambda: datasets.load("kmnist", folder), str(path))


@pytest.mark.parametrize("labels", [np.full(12, 10), np.zeros(11), np.zeros((12, 1))])
def test_labels_that_do_not_fit_the_images_are_refused_by_name(labels, tmp_path):
    arrays = random_arrays()
    folder = write(tmp_path / "given", "kmnist", [arrays[0], labels, *arrays[2:]])
    assert_refused(lambda: datasets.load("kmnist", folder), "train-labels-idx1-ubyte.gz")


def test_files_of_mnist_must_be_the_original_ones(tmp_path):
    folder = write(tmp_path / "given", "mnist", random_arrays())
    assert_refused(lambda: datasets.load("mnist", folder), "train-images", "original")


def test_files_of_mnist_do_not_pass_as_another_data_set(tmp_path):
    if not ORIGINAL.is_dir():
        pytest.skip("no files of MNIST")
    assert_refused(lambda: datasets.load("fashion_mnist", str(ORIGINAL)), "train-images")


@pytest.mark.parametrize("name", list(datasets.SOURCES))
def test_offline_the_refusal_says_which_files_to_put_where(name, tmp_path):
    folder = str(tmp_path / "tfds" / "downloads" / "manual" / name)
    words = (name, f"{datasets.SOURCES[name].stems[0]}.gz", folder, "--data.manual_dir")
    assert_refused(lambda: images.load(Data(name=name)), *words)


def test_a_given_folder_that_lacks_a_file_is_refused_with_its_name(tmp_path):
    folder = write(tmp_path / "given", "kmnist", random_arrays())
    (tmp_path / "given" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert_refused(lambda: datasets.load("kmnist", folder), "t10k-labels", folder)
    assert_refused(lambda: datasets.load("kmnist", str(tmp_path / "none")), "train-images")


@pytest.mark.parametrize("name", ["kmnist", "emnist"])
def test_downloads_are_kept_if_they_are_what_was_announced(name, tmp_path, monkeypatch):
    source, arrays = datasets.SOURCES[name], random_arrays()
    packed = {f"{s}.gz": gzip.compress(idx(a)) for s, a in zip(source.stems, arrays, strict=True)}
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for file, raw in packed.items():
            archive.writestr(f"gzip/{file}", raw)
    addresses = {source.url + file: raw for file, raw in packed.items()}
    addresses[source.url] = memory.getvalue()
    monkeypatch.setattr(
        datasets.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(addresses[url])
    )
    folder = tmp_path / "tfds" / "downloads" / "manual" / name
    assert_refused(lambda: datasets.load(name), "could not be downloaded")
    assert not list(folder.iterdir()), "other contents than announced are not kept"

    class Announced:
        url_infos = {  # noqa: RUF012
            url: type("Info", (), {"checksum": datasets.hashlib.sha256(raw).hexdigest()})
            for url, raw in addresses.items()
        }

    monkeypatch.setattr(datasets.tfds, "builder_cls", lambda _: Announced)
    upright = [a.swapaxes(1, 2) if source.transposed and a.ndim == 3 else a for a in arrays]
    assert_is(datasets.load(name), upright)
    assert {path.name for path in folder.iterdir()} == set(packed)
