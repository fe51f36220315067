"""What one peer takes for one stream, run by benchmarks/frames.py in the peers' own environment.

Standard input: JSON with `peer`, `path`, `wishes_us` and `times_us` (of all pictures).
Standard output: JSON with the CPU `seconds`, imports aside, and the times of the pictures `found_us`.
"""

import importlib
import json
import sys
import time


def decord(module, path, wishes_us, times_us):
    """Read the pictures on show at these times, found by their numbers."""
    cv2 = importlib.import_module("cv2")
    reader = module.VideoReader(path, num_threads=1)
    numbers = [sum(t_us <= wish for t_us in times_us) - 1 for wish in wishes_us]
    for pixels in reader.get_batch(numbers).asnumpy():
        small = cv2.resize(pixels, (640, 360), interpolation=cv2.INTER_AREA)
        cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return [round(float(reader.get_frame_timestamp(number)[0]) * 1_000_000) for number in numbers]


def scenedetect(module, path, wishes_us, times_us):
    """Look for cuts by content: every picture is decoded and compared, and none is kept."""
    module.detect(path, module.ContentDetector())
    return []


def main():
    """Measure one."""
    asked = json.load(sys.stdin)
    module = importlib.import_module(asked["peer"])
    importlib.import_module("cv2").setNumThreads(1)
    peer = {"decord": decord, "scenedetect": scenedetect}[asked["peer"]]
    began = time.process_time()
    found = peer(module, asked["path"], asked["wishes_us"], asked["times_us"])
    json.dump({"seconds": time.process_time() - began, "found_us": found}, sys.stdout)


if __name__ == "__main__":
    main()
