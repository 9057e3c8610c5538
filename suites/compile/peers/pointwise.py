# SPDX-License-Identifier: Apache-2.0
"""Other people's RMSNorm, rotary embedding and SwiGLU, on the tensors of a case: what
suites/compile/pointwise/impl_peers.cpp calls.

prepare(name, inputs, outputs, parameters) returns a function of nothing that does one call and leaves its results in
`outputs` where parameters["into"].
"""

from importlib import metadata

import torch
from torch.nn import functional


def version(name):
    package = {"liger": "liger_kernel"}.get(name, "torch")
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # a source tree on the path has no metadata
        __import__(package)
        return f"{package} of unknown version"


# The plain version, as reference/compile/eager has it; a dict of results by output name.

def norm(t, p):
    h = t["x"] + t["residual"] if "residual" in t else t["x"]
    wide = h.float()
    rstd = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + p["eps"])
    results = {"y": t["weight"] * (wide * rstd).to(h.dtype), "rstd": rstd.squeeze(-1)}
    return results | ({"sum": h} if "residual" in t else {})


def norm_backward(t, p):
    rstd = t["rstd"].unsqueeze(-1)
    unit = t["h"].float() * rstd
    g = (t["dy"] * t["weight"]).float()
    dh = (rstd * (g - unit * (g * unit).mean(-1, keepdim=True))).to(t["dy"].dtype)
    results = {"dh": dh + t["dsum"] if "dsum" in t else dh}
    if p["trains_weight"]:
        results["dw"] = (t["dy"] * unit.to(t["dy"].dtype)).sum(0)
    return results


def rope(t, p):
    cos, sin = t["cos"].unsqueeze(1), t["sin"].unsqueeze(1)

    def turned(rows):
        x = rows.view(rows.shape[0], -1, p["head_dim"])
        if p["backward"]:
            first, second = (x * sin).chunk(2, -1)
            return (x * cos + torch.cat((second, -first), -1)).view(rows.shape)
        first, second = x.chunk(2, -1)
        return (x * cos + torch.cat((-second, first), -1) * sin).view(rows.shape)
    return {"q_out": turned(t["q"]), "k_out": turned(t["k"])}


def gate_and_up(t, p):
    return t["gate_up"].split(p["width"], 1) if p["halves"] else (t["gate"], t["up"])


def both(dgate, dup, p):
    return {"dgate_up": torch.cat((dgate, dup), 1)} if p["halves"] else {"dgate": dgate, "dup": dup}


def swiglu(t, p):
    gate, up = gate_and_up(t, p)
    return {"y": functional.silu(gate) * up}


def swiglu_backward(t, p):
    gate, up = gate_and_up(t, p)
    act = functional.silu(gate)
    results = both(torch.ops.aten.silu_backward(t["dy"] * up, gate), t["dy"] * act, p)
    return results | ({"y": act * up} if p["again"] else {})


PLAIN = {("rms_norm", False): norm, ("rms_norm", True): norm_backward, ("rope", False): rope, ("rope", True): rope,
         ("swiglu", False): swiglu, ("swiglu", True): swiglu_backward}


def liger(t, p):
    """Forward passes through Liger's public functions; its backward ones are internal to autograd."""
    if p["backward"] or "residual" in t or p["halves"]:
        raise NotImplementedError("Liger is run on the plain forward forms only")
    if p["piece"] == "swiglu":
        from liger_kernel.ops.swiglu import LigerSiLUMulFunction
        return lambda: {"y": LigerSiLUMulFunction.apply(t["gate"], t["up"])}
    if p["piece"] == "rms_norm":
        raise NotImplementedError("Liger's norm does not return rstd")
    from liger_kernel.ops.rope import LigerRopeFunction
    heads = {side: t[side].view(1, t[side].shape[0], -1, p["head_dim"]) for side in ("q", "k")}

    def call():  # it turns in place, so inputs are copied
        q, k = (heads[side].clone().transpose(1, 2) for side in ("q", "k"))
        q, k = LigerRopeFunction.apply(q, k, t["cos"].unsqueeze(0), t["sin"].unsqueeze(0))
        return {"q_out": q.transpose(1, 2).reshape(t["q"].shape), "k_out": k.transpose(1, 2).reshape(t["k"].shape)}
    return call


def prepare(name, inputs, outputs, parameters):
    p = parameters | {"trains_weight": "dw" in outputs, "again": "y" in outputs}
    if name == "liger":
        make = liger(inputs, p)
    else:
        compiled = torch.compile(PLAIN[p["piece"], p["backward"]], dynamic=False)

        def make():
            return compiled(inputs, p)

    @torch.no_grad()
    def call():
        results = make()
        if p["into"]:
            for output, result in results.items():
                outputs[output].copy_(result)
    return call
