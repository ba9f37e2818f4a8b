"""Data sets from IDX files: prepared faithfully, cached, and refused in one sentence."""

import gzip
import io
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minisub.config import Refused
from minisub.images import datasets, pictures
from minisub.images.config import Data

ORIGINAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
original = pytest.mark.skipif(not ORIGINAL.is_dir(), reason="no files of MNIST")


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


def write(folder, name, arrays, raw=None):
    """Packed files of a data set, as it names them; the first has the bytes `raw` if given."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(datasets.SOURCES[name].stems, arrays, strict=True):
        (folder / f"{stem}.gz").write_bytes(gzip.compress(idx(array)) if raw is None else raw)
        raw = None
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
        np.testing.assert_array_equal(found[key], array.reshape(len(array), *found[key].shape[1:]))


def assert_refused(action, *words):
    """It is refused in one sentence that has these words."""
    with pytest.raises(Refused) as refusal:
        action()
    message = str(refusal.value)
    assert all(word in message for word in words), message
    assert message.endswith(".") and ". " not in message


@original
@pytest.mark.slow
def test_prepared_mnist_equals_the_original_files(capfd):
    found, arrays = datasets.load("mnist", str(ORIGINAL)), []
    for stem in datasets.SOURCES["mnist"].stems:
        raw, pixels = gzip.decompress((ORIGINAL / f"{stem}.gz").read_bytes()), "images" in stem
        array = np.frombuffer(raw[16 if pixels else 8 :], np.uint8)
        arrays.append(array.reshape(-1, 784) if pixels else array)
    assert_is(found, arrays)
    assert found["train_x"].shape == (60000, 784) and found["test_x"].shape == (10000, 784)
    assert tuple(np.bincount(found["train_y"]).tolist()) == pictures.COUNTS["mnist"]
    assert_is(datasets.load("mnist"), arrays)
    assert not any(capfd.readouterr()), "nothing is printed"


@original
def test_original_files_of_mnist_are_known_by_their_contents_and_pass_as_no_others():
    arrays, _ = datasets.read_files("mnist", ORIGINAL)
    assert arrays["train_x"].shape == (60000, 28, 28)
    assert_refused(lambda: datasets.load("fashion_mnist", str(ORIGINAL)), "train-images")


def test_files_of_mnist_must_be_the_original_ones(tmp_path):
    folder = write(tmp_path / "given", "mnist", random_arrays())
    assert_refused(lambda: datasets.load("mnist", folder), "train-images", "original")


def test_an_idx_file_is_its_header_and_its_values():
    array = np.arange(24).reshape(2, 3, 4)
    found = datasets.parse_idx(idx(array), "x")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(datasets.parse_idx(b"\0\0\x08\1\0\0\0\2\7\5", "x"), [7, 5])
    whole = idx(np.arange(4))
    for raw in (
        b"",
        b"\0\0",
        b"<html>",
        b"\0\0\x0d" + whole[3:],
        whole[:-1],
        whole + b"\0",
        whole[:6],
    ):
        assert_refused(lambda raw=raw: datasets.parse_idx(raw, "some/file"), "some/file")


def test_files_come_from_a_given_folder_and_are_then_prepared_once(tmp_path):
    """And what is prepared hides no other files, and is restored if its arrays are lost."""
    one, two = random_arrays(0), random_arrays(1)
    given = write(tmp_path / "one", "kmnist", one)
    assert_is(datasets.load("kmnist", given), one)
    other = write(tmp_path / "two", "kmnist", two)
    assert_refused(lambda: datasets.load("kmnist", other), str(tmp_path / "two"), "other files")
    (cache,) = (tmp_path / "tfds").rglob("*.npz")
    cache.unlink()
    assert_is(datasets.load("kmnist"), one)
    assert cache.exists()
    assert_is(pictures.load(Data(name="kmnist", manual_dir=given)), one)


def test_files_may_be_unpacked_with_a_dot_in_the_folder_of_tensorflow_datasets(tmp_path):
    """Those of EMNIST lie on their side, and are turned upright."""
    arrays, folder = random_arrays(classes=47), tmp_path / "tfds" / "downloads" / "manual"
    folder.mkdir(parents=True)
    for stem, array in zip(datasets.SOURCES["emnist"].stems, arrays, strict=True):
        (folder / stem.replace("-idx", ".idx")).write_bytes(idx(array))
    upright = [a.swapaxes(1, 2) if a.ndim == 3 else a for a in arrays]
    assert_is(datasets.load("emnist"), upright)


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(idx(np.zeros((12, 28, 28))))[:-30],
        b"not packed",
        gzip.compress(idx(np.zeros((12, 28, 28)))[:-1]),
        gzip.compress(b"<html>"),
        gzip.compress(idx(np.zeros((12, 8, 8)))),
    ],
    ids=range(5),
)
def test_corrupted_images_are_refused_by_name(raw, tmp_path):
    folder = write(tmp_path / "given", "kmnist", random_arrays(), raw)
    path = tmp_path / "given" / "train-images-idx3-ubyte.gz"
    assert_refused(lambda: datasets.load("kmnist", folder), str(path))


@pytest.mark.parametrize("labels", [np.full(12, 10), np.zeros(11), np.zeros((12, 1))])
def test_labels_that_do_not_fit_the_images_are_refused_by_name(labels, tmp_path):
    arrays = random_arrays()
    folder = write(tmp_path / "given", "kmnist", [arrays[0], labels, *arrays[2:]])
    assert_refused(lambda: datasets.load("kmnist", folder), "train-labels-idx1-ubyte.gz")


def test_without_files_and_network_the_refusal_says_what_to_put_where(tmp_path):
    for name, source in datasets.SOURCES.items():
        folder = str(tmp_path / "tfds" / "downloads" / "manual" / name)
        words = name, f"{source.stems[0]}.gz", folder, "--data.manual_dir"
        assert_refused(lambda name=name: pictures.load(Data(name=name)), *words)
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
