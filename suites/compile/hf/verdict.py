# SPDX-License-Identifier: Apache-2.0
"""What a report of run.py must say. Pure functions of it."""

MOST_GRAPHS = 30
# Errors of losses and adapters against f64, beside those that transformers and peft have in the same type.
BAND = 2.0
# Of the mean loss: what one rounding to f32 costs, where plain's own error is zero by luck.
FLOOR = 6e-8
OPERATORS = ("rms_norm", "add_rms_norm", "rope", "attention", "swiglu", "nf4_linear", "linear_cross_entropy")


def loss_limit(report):
    return BAND * report["loss_rms_error"]["plain"] + FLOOR * report["mean_loss"]


def adapter_limit(report):
    return BAND * report["adapter_error"]["plain"] + FLOOR


def faults_of(report):
    """Sentences; none: as it should be. A comparison that NaN passes would be no fault, so all ask for what holds."""
    if report["failed"]:
        wanted = ("no graph breaks" if report["graph_breaks"] else
                  "one graph for all lengths after warm-up" if "Recompile" in report["failed"] else
                  "a training without errors")
        return [f"expected {wanted}, found: {report['failed']}"]
    faults = []

    def expect(holds, expected, found):
        if not holds:
            faults.append(f"expected {expected}, found {found}")

    expect(report["graph_breaks"] == 0, "no graph breaks", report["graph_break_reasons"])
    expect(1 <= report["graphs"] <= MOST_GRAPHS, f"1 to {MOST_GRAPHS} graphs", report["graphs"])
    expect(report["recompilations_after_warm_up"] == 0, "no compilation after warm-up", report["recompilation_reasons"])
    expect(report["programs_after_warm_up"] == 0, "no attention program after warm-up", report["programs_after_warm_up"])
    for name in OPERATORS:
        expect(report["operators"].get(f"assay.{name}", 0) > 0, f"assay.{name} inside the graph",
               sorted(report["operators"]))
    for name in ("compiled", "uncompiled"):
        expect(report["loss_rms_error"][name] <= loss_limit(report), f"a loss within {loss_limit(report):.3g} of f64's",
               f"{report['loss_rms_error'][name]:.3g} ({name})")
        expect(report["adapter_error"][name] <= adapter_limit(report),
               f"adapters within {adapter_limit(report):.3g} of f64's", f"{report['adapter_error'][name]:.3g} ({name})")
    expect(report["compiled_against_uncompiled"] <= loss_limit(report),
           f"the loss of the uncompiled model within {loss_limit(report):.3g}", report["compiled_against_uncompiled"])
    return faults
