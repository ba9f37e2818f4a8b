"""MNIST and its kin through tensorflow-datasets, which needs no TensorFlow for this.

Each data set is four IDX files: images and labels, of training and test. They are parsed with
numpy, declared as plain tensors, prepared once as array records, and stacked into one `.npz`
beside them, which every later start reads. This is the only module that knows tensorflow-datasets.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import logging
import math
import urllib.request
import warnings
import zlib
from http.client import HTTPException
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from minisub.config import Refused, require

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its dependencies' deprecations are not ours to mend
    import tensorflow_datasets as tfds

TIMEOUT = 10.0
"""Seconds without an answer after which a download is given up."""
SIDE = 28
"""Height and width of an image in pixels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where a data set comes from, and what is in its files."""

    url: str
    """Address of a folder of the four packed files, or of one .zip that has them."""
    splits: tuple[str, str] = ("train", "t10k")
    """How names of files begin."""
    digests: tuple[str, ...] = ()
    """SHA-256 of the unpacked files, in the order of `KEYS`; empty: any contents will do."""
    classes: int = 10
    """Labels are below this."""
    transposed: bool = False
    """Images are stored by columns."""

    @property
    def stems(self):
        """Names of the unpacked files, in the order of `KEYS`."""
        kinds = "images-idx3-ubyte", "labels-idx1-ubyte"
        return [f"{split}-{kind}" for split in self.splits for kind in kinds]


KEYS = ("train_x", "train_y", "test_x", "test_y")
SOURCES = {
    "mnist": Source(
        url="https://storage.googleapis.com/cvdf-datasets/mnist/",
        digests=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": Source(url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
    "kmnist": Source(url="http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
    "emnist": Source(
        url="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        splits=("emnist-balanced-train", "emnist-balanced-test"),
        classes=47,
        transposed=True,
    ),
}


def parse_idx(raw, path):
    """The uint8 array in the bytes `raw` of an IDX file (0, 0, type 8 for uint8, number of axes,
    each length as big-endian uint32, the values); `Refused`, naming `path`, if it is not."""
    known = len(raw) >= 4 and raw[:3] == b"\0\0\x08"
    require(known, f"{path} is not an IDX file of bytes; put the original file there.")
    start = 4 + 4 * raw[3]
    lengths = [int.from_bytes(raw[at : at + 4], "big") for at in range(4, start, 4)]
    intact = len(raw) >= start and len(raw) == start + math.prod(lengths)
    require(intact, f"{path} has not the length its header promises; put an intact file there.")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(lengths)


def find(source, folder):
    """Paths of the four files in `folder`, packed or not; None for those that are missing."""

    def path(stem):
        names = [x + end for x in (stem, stem.replace("-idx", ".idx")) for end in ("", ".gz")]
        return next((folder / name for name in names if (folder / name).is_file()), None)

    return [path(stem) for stem in source.stems]


def read_files(name, folder):
    """Arrays of `KEYS`, uint8 (n, 28, 28), upright, and (n,), and the SHA-256s of unpacked files;
    `Refused`, with the file's name, where contents in `folder` are not those of the data set."""
    source, arrays, digests = SOURCES[name], {}, []
    for i, (key, path) in enumerate(zip(KEYS, find(source, folder), strict=True)):
        try:
            raw = path.read_bytes()
            raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        except (OSError, EOFError, zlib.error) as error:
            raise Refused(f"{path} cannot be unpacked; put an intact file there.") from error
        digests.append(hashlib.sha256(raw).hexdigest())
        # Files of MNIST have the names of others; those of which no more is known are not these.
        right = source.digests[i : i + 1] or {digests[i]}.difference(SOURCES["mnist"].digests)
        known = digests[i] in right
        require(known, f"{path} is not the original file of {name}; replace or remove it.")
        arrays[key] = array = parse_idx(raw, path)
        if key.endswith("x"):
            fits, what = array.shape[1:] == (SIDE, SIDE), f"has no images of {SIDE} x {SIDE}"
            arrays[key] = array.swapaxes(1, 2) if source.transposed else array
        else:
            fits = array.shape == arrays[KEYS[i - 1]].shape[:1] and (array < source.classes).all()
            what = "does not label the images beside it"
        require(fits, f"{path} {what}; replace or remove it.")
    return arrays, digests


class IdxImages(tfds.core.GeneratorBasedBuilder):
    """The tensorflow-datasets builder: one config for each of `SOURCES`; files in manual_dir."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in SOURCES]  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Put the four IDX files there, packed (.gz) or not."

    def _info(self):
        image = tfds.features.Tensor(shape=(SIDE, SIDE), dtype=np.uint8)
        label = tfds.features.Tensor(shape=(), dtype=np.int64)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            disable_shuffling=True,  # keep the order of the files
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        arrays, digests = read_files(self.builder_config.name, Path(dl_manager.manual_dir))
        self.info.metadata["sha256"] = digests
        return {
            split: self._generate_examples(arrays[f"{split}_x"], arrays[f"{split}_y"])
            for split in ("train", "test")
        }

    def _generate_examples(self, images, labels):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield i, {"image": image, "label": int(label)}


def download(name, folder):
    """Download the packed files of a data set into `folder`; `OSError` where it fails. Checksums
    are tensorflow-datasets', and not its downloader, which has no timeout."""
    source, infos, packed = SOURCES[name], tfds.builder_cls(name).url_infos, {}
    files, zipped = [f"{stem}.gz" for stem in source.stems], source.url.endswith(".zip")
    folder.mkdir(parents=True, exist_ok=True)
    for url in [source.url] if zipped else [source.url + file for file in files]:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            packed[url.rsplit("/", 1)[1]] = raw = answer.read()
        if hashlib.sha256(raw).hexdigest() != infos[url].checksum:
            raise OSError(f"{url} has other contents than expected")
    if zipped:
        with ZipFile(io.BytesIO(raw)) as archive:
            packed = {file: archive.read(f"gzip/{file}") for file in files}
    for file, raw in packed.items():
        with tfds.core.utils.incomplete_file(folder / file) as path:
            path.write_bytes(raw)


def locate(name, root, manual_dir):
    """The folder that has the files: `manual_dir`, or tensorflow-datasets' own, or downloaded to;
    `Refused` where `manual_dir` lacks a file, or there are no files and no download either."""
    source = SOURCES[name]
    if manual_dir:
        folder = Path(manual_dir).expanduser()
        for stem, path in zip(source.stems, find(source, folder), strict=True):
            require(
                path,
                f"{folder} has no {stem}.gz, packed or not; put the four files of {name} there, "
                "or leave out --data.manual_dir.",
            )
        return folder
    manual = root / "downloads" / "manual"
    # Files of Fashion-MNIST and KMNIST are named like MNIST's: only a folder tells them apart.
    for folder in [manual / name] + [manual] * (name in ("mnist", "emnist")):
        if all(find(source, folder)):
            return folder
    try:
        download(name, manual / name)
    except (OSError, HTTPException, BadZipFile) as error:
        raise Refused(
            f"{name} could not be downloaded; put {source.stems[0]}.gz and its three siblings "
            f"into {manual / name}, or give --data.manual_dir."
        ) from error
    return manual / name


def prepare(name, root, manual_dir):
    """The builder of a data set that is prepared under `root`, if need be now; as `load`."""
    builder = IdxImages(config=name, data_dir=root)
    if builder.is_prepared():
        return builder
    files = tfds.download.DownloadConfig(manual_dir=locate(name, root, manual_dir))
    try:
        builder.download_and_prepare(file_format="array_record", download_config=files)
    except OSError:
        # Another process may have been faster, and then this one cannot rename its work.
        builder = IdxImages(config=name, data_dir=root)
        if not builder.is_prepared():
            raise
    return builder


def stack(builder):
    """Arrays of `KEYS` from a prepared data set, in the order of the files, and SHA-256s."""
    arrays = {"sha256": np.array(builder.info.metadata["sha256"])}
    for split in ("train", "test"):
        source = builder.as_data_source(split=split)
        rows = source.__getitems__(range(len(source)))
        arrays[f"{split}_x"] = np.stack([row["image"].ravel() for row in rows])
        arrays[f"{split}_y"] = np.array([row["label"] for row in rows], np.int32)
    return arrays


def load(name, manual_dir=""):
    """A data set: train_x, test_x uint8 (n, 784); train_y, test_y int32 (n,).

    From a file beside what tensorflow-datasets prepared (under TFDS_DATA_DIR, or in the home),
    else from files that `locate` knows; `Refused` where they are not what the name says.
    """
    root = Path(tfds.core.constants.get_default_data_dir()).expanduser()
    cache = root / "idx_images" / name / str(IdxImages.VERSION) / "arrays.npz"
    if not cache.is_file():
        # It would announce all that it does.
        tfds.disable_progress_bar()
        logging.getLogger("absl").setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()):
            arrays = stack(prepare(name, root, manual_dir))
        with tfds.core.utils.incomplete_file(cache) as path:
            np.savez(path, **arrays)
    with np.load(cache, allow_pickle=False) as file:
        arrays = dict(file)
    digests, folder = arrays.pop("sha256").tolist(), Path(manual_dir).expanduser()
    # What is prepared must not hide other files that the user points to.
    look = manual_dir and not SOURCES[name].digests and all(find(SOURCES[name], folder))
    require(
        not look or read_files(name, folder)[1] == digests,
        f"{name} was prepared from other files than those in {manual_dir}; remove {cache.parent} "
        "to prepare it anew.",
    )
    return arrays
