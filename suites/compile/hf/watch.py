# SPDX-License-Identifier: Apache-2.0
"""What torch.compile did, counted: graph breaks, graphs, recompilations with their reasons, operators inside the graphs."""

import collections

import torch
from torch._dynamo import utils
from torch._dynamo.backends.registry import lookup_backend


class Watched:
    """`function` compiled whole, with dynamic shapes; counts from its making on. One at a time: torch's counters are the
    process' own."""

    def __init__(self, function, backend):
        # Two sizes that happen to be equal would become a rule, and their next difference a recompilation.
        torch.fx.experimental._config.use_duck_shape = False
        torch._dynamo.reset()
        utils.counters.clear()
        utils.clear_compilation_metrics()
        self.graphs_seen = []
        self.backend = lookup_backend(backend)
        self.call = torch.compile(function, fullgraph=True, dynamic=True, backend=self.compile)

    def compile(self, graph, inputs):
        self.graphs_seen.append(collections.Counter(names_in(graph)))
        return self.backend(graph, inputs)

    def graphs(self):
        return utils.counters["stats"]["unique_graphs"]

    def operators(self):
        """How often each operator is in the graph that has it least: 0 where one graph does without."""
        names = {name for graph in self.graphs_seen for name in graph}
        return {name: min(graph[name] for graph in self.graphs_seen) for name in sorted(names)}

    def recompilations(self):
        """Reasons, one for each graph that was not the first of its code."""
        return [" ".join(m.recompile_reason.split()) for m in utils.get_compilation_metrics() if m.recompile_reason]

    def report(self):
        return {"graph_breaks": sum(utils.counters["graph_break"].values()),
                "graph_break_reasons": sorted(utils.counters["graph_break"]),
                "graphs": self.graphs(),
                "recompilations": len(self.recompilations()), "recompilation_reasons": self.recompilations(),
                "operators": self.operators()}


def names_in(graph):
    """Operators called in a graph: "assay.rms_norm", "aten.…", and torch functions by their names."""
    for node in graph.graph.nodes:
        if node.op == "call_function":
            target = node.target
            if isinstance(target, torch._ops.OpOverload):
                target = target.overloadpacket
            yield str(target) if isinstance(target, torch._ops.OpOverloadPacket) else getattr(target, "__name__", str(target))


def graph_breaks(function, **batch):
    """Breaks that one call has where they are allowed, with their reasons."""
    torch._dynamo.reset()
    found = torch._dynamo.explain(function)(**batch)
    return found.graph_break_count, [str(b.reason) for b in found.break_reasons]
