"""The public models' forward pass, written out patch by patch in NumPy, with nothing of the package.

It reads a config as it stands in a file, with its own list of keys and defaults, and weights by their public
names. What it does not know it refuses with a KeyError, so that a test sees a key that nobody accounted for.
"""

import math

import numpy as np

ERF = np.vectorize(math.erf, otypes=[float])
SITES = ("enc_in", "enc_block_inner", "dec_in", "dec_block_inner", "boundary_smooth")
WITHOUT_EFFECT = {"solver", "svd_method", "svd_compute_dtype", "linear_readout_power", "init_scheme"}
WITHOUT_EFFECT |= {"dataset", "img_size", "lr", "target_cv", "tree_depth", "sp_tokenizer", "bt_corpus"}
WITHOUT_EFFECT |= {"readout", "codebook_init", "freeze_codebook", "address_chunk", "model_type"}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


ACTIVATIONS = {
    "gelu": lambda x: x * 0.5 * (1 + ERF(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": elu,
    "selu": lambda x: 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717),
    "celu": elu,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "logsigmoid": lambda x: -softplus(-x),
    "tanhshrink": lambda x: x - np.tanh(x),
    "identity": lambda x: x,
}


def one_name_each(config):
    """The config without nulls, its synonyms replaced."""
    config = {key: value for key, value in config.items() if value is not None}
    for other, key in (
        ("ps", "patch_size"),
        ("n_cross", "n_cross_layers"),
        ("matrix_v", "V"),
        ("n_axes", "K"),
    ):
        if other in config:
            value = config.pop(other)
            if config.setdefault(key, value) != value:
                raise KeyError(other)
    return config


def defaults(config):
    """Every key that matters, from a file's config."""
    config = one_name_each(config)
    aleph = config.get("model_type") == "aleph"
    known = {"V": 32, "D": 4, "patch_size": 4, "hidden": 64, "depth": 1, "n_cross_layers": 0, "channels": 3}
    known |= {"row_norm": "sphere", "activation": "gelu", "n_heads": None, "smooth_mid": None}
    if aleph:
        known |= {"address": "soft", "K": 64, "address_tau": 0.1, "decode_mode": "tied", "n_atoms": 64}
        known |= {"code_tau": 1.0, "boundary_smooth": True}
        known |= {"dec_hidden": config.get("hidden", 64), "dec_depth": config.get("depth", 1)}
    else:
        known |= {"svd_mode": "default", "linear_readout": False, "match_params": True, "activations": {}}
    for key, value in config.items():
        if key not in known and key not in WITHOUT_EFFECT:
            raise KeyError(key)
        known[key] = int(value) if isinstance(value, float) and value.is_integer() else value
    known["aleph"] = aleph
    known["n_heads"] = known["n_heads"] or (2 if known["D"] <= 8 else min(4, known["D"]))
    acts = {**dict.fromkeys(SITES, known["activation"] if aleph else "gelu"), "enc_in": known["activation"]}
    acts |= known.get("activations", {})
    known["acts"] = {site: ACTIVATIONS[name] for site, name in acts.items()}
    return known


def layer_norm(x, weight, bias):
    spread = np.sqrt(x.var() + 1e-5)
    return (x - x.mean()) / spread * weight + bias


def mlp(w, names, depth, x, act_in, act_inner):
    """A linear layer, an activation, residual blocks, a linear layer, for one patch's vector."""
    first, blocks, last = names
    h = act_in(w[f"{first}.weight"] @ x + w[f"{first}.bias"])
    for i in range(depth):
        b = layer_norm(h, w[f"{blocks}.{i}.0.weight"], w[f"{blocks}.{i}.0.bias"])
        b = act_inner(w[f"{blocks}.{i}.1.weight"] @ b + w[f"{blocks}.{i}.1.bias"])
        h = h + w[f"{blocks}.{i}.3.weight"] @ b + w[f"{blocks}.{i}.3.bias"]
    return w[f"{last}.weight"] @ h + w[f"{last}.bias"]


def normed(row, how):
    if how == "sphere":
        return row / max(np.linalg.norm(row), 1e-12)
    if how == "layernorm":
        return (row - row.mean()) / max(row.std(ddof=1), 1e-8)
    return {"scale": row / max(np.abs(row).max(), 1e-8), "none": row}[how]


def eigenpairs(M, jitter, floor):
    values, vectors = np.linalg.eigh(M.T @ M + M.dtype.type(jitter) * np.eye(M.shape[1], dtype=M.dtype))
    return np.sqrt(np.maximum(values[::-1], floor)), vectors[:, ::-1].T


def spectrum(c, w, M, stacked):
    """U, S, Vt of one patch's M; ``stacked`` are all the image's rows."""
    if c["aleph"]:
        U = M if c["address"] == "none" else np.array([addressed(c, w, row) for row in M])
        return U, np.linalg.norm(U, axis=0), np.eye(c["D"])
    if c["linear_readout"]:
        U = M
        if c["match_params"]:
            U = (w["readout.weight"] @ M.reshape(-1) + w["readout.bias"]).reshape(M.shape)
        return U, np.linalg.norm(U, axis=0), np.eye(c["D"])
    if c["svd_mode"] == "fp32":
        S, Vt = eigenpairs(M.astype(np.float32), 1e-6, 1e-12)
        return M @ Vt.T / np.maximum(S, 1e-8), S, Vt
    of, jitter = {"default": (M, 0.0), "fp64": (M, 1e-12), "batch_shared": (stacked, 0.0)}[c["svd_mode"]]
    S, Vt = eigenpairs(of, jitter, 1e-24)
    return M @ Vt.T / np.maximum(S, 1e-16), S, Vt


def addressed(c, w, row):
    A = w["codebook"] / np.maximum(np.linalg.norm(w["codebook"], axis=1, keepdims=True), 1e-12)
    axes = np.concatenate([A, -A])
    u = axes @ row
    if c["address"] == "hard":
        return axes[u.argmax()]
    share = np.exp((u - u.max()) / c["address_tau"])
    return share @ axes / share.sum()


def attention(w, i, heads, S):
    """One layer over an image's S (N, D)."""
    name = f"cross_attn.{i}."
    x = np.array([layer_norm(s, w[name + "norm.weight"], w[name + "norm.bias"]) for s in S])
    q, k, v = np.split(x @ w[name + "qkv.weight"].T + w[name + "qkv.bias"], 3, axis=1)
    parts, width = [], S.shape[1] // heads
    for h in range(heads):
        at = slice(h * width, (h + 1) * width)
        scores = q[:, at] @ k[:, at].T / math.sqrt(width)
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        parts.append(share / share.sum(axis=1, keepdims=True) @ v[:, at])
    out = np.concatenate(parts, axis=1) @ w[name + "out_proj.weight"].T + w[name + "out_proj.bias"]
    return S * (1 + 0.2 * sigmoid(w[name + "alpha_logits"]) * np.tanh(out))


def decoded(c, w, U, S, Vt, modes):
    """One patch's pixels."""
    if c["aleph"] and c["decode_mode"] == "tied":
        return w["dec.weight"] @ (U * modes).reshape(-1) + w["dec.bias"]
    if c["aleph"] and c["decode_mode"] == "dict":
        code = (w["code_proj.weight"] @ (U * modes).reshape(-1) + w["code_proj.bias"]) / c["code_tau"]
        share = np.exp(code - code.max())
        return share @ w["atoms"] / share.sum()
    M = U @ np.diag(S * modes) @ Vt
    names, depth = ("dec_in", "dec_blocks", "dec_out"), c["dec_depth"] if c["aleph"] else c["depth"]
    return mlp(w, names, depth, M.reshape(-1), c["acts"]["dec_in"], c["acts"]["dec_block_inner"])


def conv3(x, weight, bias):
    """(C, H, W) -> (O, H, W), zeros around."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    h, w = x.shape[1:]
    out = np.zeros((len(weight), h, w))
    for dy in range(3):
        for dx in range(3):
            out += np.einsum("oc,chw->ohw", weight[:, :, dy, dx], padded[:, dy : dy + h, dx : dx + w])
    return out + bias[:, None, None]


def forward(config, weights, image, without=None):
    """recon (C, H, W), S, S_orig (N, D), M and, before the norm, raw (N, V, D) of one image.

    Mode ``without`` counts times 0.
    """
    c = defaults(config)
    w = {key: np.asarray(value, dtype=float) for key, value in weights.items()}
    image, ps = np.asarray(image, dtype=float), c["patch_size"]
    gh, gw = image.shape[1] // ps, image.shape[2] // ps
    cells = [(slice(r * ps, r * ps + ps), slice(q * ps, q * ps + ps)) for r in range(gh) for q in range(gw)]
    names, acts, raw = ("enc_in", "enc_blocks", "enc_out"), c["acts"], []
    for y, x in cells:
        values = mlp(
            w, names, c["depth"], image[:, y, x].reshape(-1), acts["enc_in"], acts["enc_block_inner"]
        )
        raw.append(values.reshape(c["V"], c["D"]))
    M = np.array([[normed(row, c["row_norm"]) for row in rows] for rows in raw])
    U, S_orig, Vt = zip(*(spectrum(c, w, m, M.reshape(-1, c["D"])) for m in M), strict=True)
    S = S_orig = np.array(S_orig, dtype=float)
    for i in range(c["n_cross_layers"]):
        S = attention(w, i, c["n_heads"], S)
    modes = np.ones(c["D"])
    if without is not None:
        modes[without] = 0
    recon = np.zeros_like(image)
    for (y, x), u, s, v in zip(cells, U, S, Vt, strict=True):
        recon[:, y, x] = decoded(c, w, u, s, v, modes).reshape(-1, ps, ps)
    if not c["aleph"] or c["boundary_smooth"]:
        smooth = "boundary_smooth.net."
        inner = acts["boundary_smooth"](conv3(recon, w[smooth + "0.weight"], w[smooth + "0.bias"]))
        recon = recon + conv3(inner, w[smooth + "2.weight"], w[smooth + "2.bias"])
    return {"recon": recon, "S": S, "S_orig": S_orig, "M": M, "raw": np.array(raw)}
