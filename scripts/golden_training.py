"""Gradients of a small network in float64 PyTorch, for crates/train/tests/golden_gradients.rs.

Usage: python scripts/golden_training.py > crates/train/tests/golden/gradients.json   (needs torch and numpy)
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def values(length: int, seed: int) -> np.ndarray:
    """The numbers of tests/zoo: xorshift32 mapped to -1..1 in float32."""
    mask = 0xFFFFFFFF
    state = (seed * 2654435761 + 12345) & mask
    out = []
    for i in range(length + 8):
        state ^= (state << 13) & mask
        state ^= state >> 17
        state ^= (state << 5) & mask
        if i >= 8:
            out.append(np.float32(state) / np.float32(mask) * np.float32(2) - np.float32(1))
    return np.array(out, dtype=np.float32)


parameters = {}


def parameter(name: str, *shape: int, offset: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    """A parameter in the graph's layout (OHWI, 1HWO, OI or [C])."""
    v = values(int(np.prod(shape)), 100 + len(parameters)) * np.float32(scale) + np.float32(offset)
    parameters[name] = torch.tensor(v.astype(np.float64).reshape(shape), requires_grad=True)
    return parameters[name]


def conv(x, name, o, k, stride, pad):
    w = parameter(name, o, k, k, x.shape[1], scale=0.4)
    return F.conv2d(x, w.permute(0, 3, 1, 2), stride=stride, padding=pad)


def norm(x, name):
    gamma = parameter(name + "/gamma", x.shape[1], offset=1.2, scale=0.5)
    beta = parameter(name + "/beta", x.shape[1], scale=0.5)
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5)


batch, classes = 6, 4
x = torch.tensor(values(batch * 9 * 7 * 3, 1).astype(np.float64).reshape(batch, 9, 7, 3)).permute(0, 3, 1, 2)
x = F.relu(norm(conv(x, "stem", 8, 3, 1, 1), "stem"))
w = parameter("depthwise", 1, 3, 3, 8, scale=0.6)
x = F.relu(norm(F.conv2d(x, w.permute(3, 0, 1, 2), stride=2, padding=1, groups=8), "depthwise"))
left = F.relu6(norm(conv(x, "left", 8, 3, 1, 1), "left"))
x = F.relu(norm(conv(left, "right", 8, 1, 1, 0), "right") + x)
x = F.max_pool2d(x, 2, 2)
x = x.permute(0, 2, 3, 1).reshape(batch, -1)
w, b = parameter("dense", classes, x.shape[1], scale=0.5), parameter("bias", classes)
logits = x @ w.T + b
labels = torch.tensor([i % classes for i in range(batch)])
loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
loss.backward()

print(
    json.dumps(
        {
            "loss": loss.item(),
            "logits": [float(np.float32(v)) for v in logits.detach().numpy().ravel()],
            "gradients": {k: [float(f"{v:.8g}") for v in p.grad.numpy().ravel()] for k, p in parameters.items()},
        }
    )
)
