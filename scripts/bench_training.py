"""Images per second of training steps: dtmm-train against PyTorch on the same cores, in one run.

Usage: python scripts/bench_training.py [--threads 2] [--seconds 6] [--rounds 3] [--json FILE]   (needs torch)

Each round measures every contender in turn, so that a change of the machine's load meets all of them; the best round
counts. PyTorch runs in both memory formats and the faster one is compared with. A step is forward, cross-entropy,
backward and SGD with momentum; the data is noise that is already in memory.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = {"vgg11": 0.9, "resnet8": 1.0, "ds-cnn": 1.0}
BATCHES = (32, 64)


def unit(ci, co, kernel=3, stride=1, padding=1, groups=1, relu=True):
    layers = [nn.Conv2d(ci, co, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(co)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def vgg11():
    layers, c = [], 3
    for group in [(32, 32), (64, 64), (128,) * 3, (256,) * 3]:
        for o in group:
            layers.append(unit(c, o))
            c = o
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10))


class Residual(nn.Module):
    def __init__(self, c, o, stride):
        super().__init__()
        self.body = nn.Sequential(unit(c, o, stride=stride), unit(o, o, relu=False))
        self.shortcut = nn.Identity() if stride == 1 else unit(c, o, 1, stride, 0, relu=False)

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet8():
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    return nn.Sequential(unit(3, 16), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def ds_cnn():
    # TensorFlow's SAME padding of a 10x4 kernel with stride 2 over 49x10.
    layers = [nn.ZeroPad2d((1, 1, 4, 5)), unit(1, 64, (10, 4), 2, 0)]
    for _ in range(4):
        layers += [unit(64, 64, groups=64), unit(64, 64, 1, padding=0)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def pytorch(name, batch, seconds, memory_format):
    torch.manual_seed(1)
    model = {"vgg11": vgg11, "resnet8": resnet8, "ds-cnn": ds_cnn}[name]().to(memory_format=memory_format)
    shape = (1, 49, 10) if name == "ds-cnn" else (3, 32, 32)
    x = torch.randn(batch, *shape).contiguous(memory_format=memory_format)
    y = torch.arange(batch) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, nesterov=True)
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < 8:
        t = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y, label_smoothing=0.05).backward()
        optimizer.step()
        times.append(time.perf_counter() - t)
    return batch / sorted(times[3:])[len(times[3:]) // 2]


def ours(binary, name, batch, threads, seconds):
    command = [binary, name, str(batch), str(threads), str(seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["median"]


def build():
    command = ["cargo", "build", "--release", "-p", "dtmm-train", "--example", "train_speed"]
    messages = subprocess.run(
        [*command, "--message-format=json"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    artifacts = (json.loads(line) for line in messages.splitlines())
    return next(a["executable"] for a in artifacts if a.get("target", {}).get("name") == "train_speed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    binary, rows = build(), []
    for name, bar in MODELS.items():
        for batch in BATCHES:
            best = {"dtmm": 0.0, "pytorch_nchw": 0.0, "pytorch_channels_last": 0.0}
            for _ in range(args.rounds):
                measured = {
                    "dtmm": ours(binary, name, batch, args.threads, args.seconds),
                    "pytorch_nchw": pytorch(name, batch, args.seconds, torch.contiguous_format),
                    "pytorch_channels_last": pytorch(name, batch, args.seconds, torch.channels_last),
                }
                best = {k: max(v, measured[k]) for k, v in best.items()}
            ratio = best["dtmm"] / max(best["pytorch_nchw"], best["pytorch_channels_last"])
            rows.append({"model": name, "batch": batch, **best, "ratio": ratio, "bar": bar})
            print(
                f"{name:8} batch {batch:3}  dtmm {best['dtmm']:7.0f}  PyTorch NCHW {best['pytorch_nchw']:7.0f}  "
                f"channels-last {best['pytorch_channels_last']:7.0f}  ratio {ratio:.2f} (bar {bar})",
                flush=True,
            )
    result = {"torch": torch.__version__, "threads": args.threads, "unit": "images/s", "rows": rows}
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(any(row["ratio"] < row["bar"] for row in rows))


if __name__ == "__main__":
    main()
