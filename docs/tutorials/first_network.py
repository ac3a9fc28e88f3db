# %% [markdown]
# # A first network
#
# Three kinds of iris are told apart by a network of memristors and inverters. ngspice measures the inverter, a small
# neural network is fitted to what it measured, the conductances are trained with Kirchhoff's laws solved in every step,
# and ngspice simulates what was trained. Everything is kept in one run folder.
#
# What is coarse here, so that the page takes seconds: the plan of the sweeps and the fit. `spicetrain run iris-kcl` has
# the finer ones that ship.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from spicetrain import Run
from spicetrain.cli import main

Path("plan.toml").write_text("""
[current_surface]                    # the inverter's current at 41 x 41 pairs of v_in and v_out
points = 41
""")
Path("first.toml").write_text("""
[dataset]
name = "iris"

[characterization]
plan = "plan.toml"

[surrogates]
hidden = [12]
points = 1200
iterations = 60
starts = 1

[network]
layers = [4, 6, 3]                   # inputs, hidden neurons, classes
inverter_sizes = [8.0, 1.0]          # unit fingers of the hidden inverters, of the outputs'
encoding = "bipolar"                 # an input of 0 is the lower rail, of 1 the upper one

[training]
method = "kcl"
epochs = 60
batch_size = 20

[verification]
images = 30                          # all of iris' test samples
flat_images = 3                      # of which three with every device of the first crossbar, too
""")
run = Run.open("first.toml", "runs/first")

# %% [markdown]
# ## Measure
#
# Two sources force the inverter's input and output, and ngspice says what flows: no load has to be chosen.

# %%
tables = run.characterize()
surface = pd.read_parquet(tables["current_surface"])
print(f"{len(surface)} points measured: {', '.join(surface.columns)}")

# %%
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for v_in, curve in list(surface.groupby("v_in_V"))[::8]:
    axes.plot(1e3 * curve["v_out_V"], 1e6 * curve["i_out_A"], label=f"{1e3 * v_in:.0f} mV")
axes.set(xlabel="v_out, mV", ylabel="current into the load, uA", title="One finger of the inverter")
figure.legend(title="v_in", loc="outside right center", frameon=False)
figure.savefig("current_surface.png")

# %% [markdown]
# ## Fit
#
# The fit says what it is off by, on points that were kept from it.

# %%
fit = run.fit_surrogates()
for name, value in fit["surrogates"]["current_surface"]["errors"].items():
    if name.startswith("rms"):
        print(f"{name}: {value:.2e}")

# %% [markdown]
# ## Train, verify
#
# Training needs no SPICE any more; verification is nothing else. A model that claims to know the circuit is held to it.

# %%
network = run.train()
metrics = pd.DataFrame([json.loads(line) for line in Path("runs/first/metrics.jsonl").read_text().splitlines()])
summary = run.verify()
print(f"accuracy {summary.accuracy_model:.1%} in the model, {summary.accuracy_spice:.1%} in ngspice")
print(f"same class for {summary.agreement:.1%}, outputs off by {1e6 * summary.error_mean_V:.2f} uV in the mean")
print(f"the first crossbar: {network.crossbars[0].devices} memristors, {len(network.crossbars)} crossbars in all")
assert summary.agreement == 1.0

# %%
images = pd.read_parquet("runs/first/verification.parquet")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.plot(metrics["epoch"], metrics["loss"])
left.set(xlabel="epoch", ylabel="loss", title="Training")
outputs = range(len(run.dataset.classes))
for j, name in zip(outputs, run.dataset.classes, strict=True):
    right.plot(1e3 * images[f"model_o_{j}_V"], 1e3 * images[f"spice_o_{j}_V"], "o", ms=4, label=name)
right.set(xlabel="output in the model, mV", ylabel="in ngspice, mV", title="30 flowers it was not trained on")
right.legend(frameon=False)
figure.savefig("model_and_spice.png")

# %% [markdown]
# ## At the command line
#
# The same verbs, with every setting of the TOML as a flag. Here they are called from Python, so that this page shows
# what they print; in a shell it is `spicetrain netlist runs/first --image 7` and so on: the deck of one flower, for
# plain ngspice, and everything on one page.

# %%
main(["netlist", "runs/first", "--image", "7"])
main(["report", "runs/first"])
lines = Path("runs/first/network-flat-7.cir").read_text().splitlines()
print(f"{len(lines)} lines of netlist, {sum(line.startswith('R') for line in lines)} of them memristors")

# %% [markdown]
# At another temperature than the network was trained at, the model still predicts what it was trained for; the figures
# say how far that is from the warmer circuit.

# %%
words = ["verify", "runs/first", "--temperature", "60", "--flat-images", "0", "--quiet"]
code = main(words)
print(f"spicetrain {' '.join(words)}: exit code {code}")

# %% [markdown]
# Exit codes: 0 ok, 2 configuration or input, 3 ngspice missing, 4 a simulation failed, 5 a verification outside what
# was asked of it.
