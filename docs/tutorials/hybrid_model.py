# %% [markdown]
# # A hybrid model: digital layers before, the analog network behind
#
# A model need not be analog from its first layer on. Here a digital layer makes 12 features of the 64 pixels of a
# digit, and two crossbars of memristors, with the inverters between them, classify these. One loss trains all of it:
# the gradient goes through Kirchhoff's laws of the crossbars into the digital weights. Then the conductances are
# written down as they are programmed, and ngspice simulates the analog part on features that the digital part made.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from spicetrain import Run
from spicetrain.datasets import load_dataset
from spicetrain.exporting import EXPORTS, Export
from spicetrain.nn import InverterCrossbar, OutputInverters, inverter_network

Path("plan.toml").write_text("""
[current_surface]
points = 41
""")
Path("hybrid.toml").write_text("""
[dataset]
file = "features.npz"                # what the analog part sees; written below, when there are features
scaling = "none"                     # they are in 0..1 already

[characterization]
plan = "plan.toml"

[surrogates]
hidden = [12]
points = 1200
iterations = 60
starts = 1

[network]
layers = [12, 10, 10]
inverter_sizes = [8.0, 1.0]
encoding = "bipolar"

[verification]
images = 40
flat_images = 0
""")
run = Run.open("hybrid.toml", "runs/hybrid")

# %% [markdown]
# ## The circuit
#
# The modules take a technology and what was fitted to it. Any run has both.

# %%
run.characterize()
run.fit_surrogates()
circuit = run.technology, run.surrogates()

# %% [markdown]
# ## The model
#
# `InverterCrossbar` takes values in 0..1 as its rows' voltages and gives column voltages; the second one is driven by
# inverters and loads them; `OutputInverters` stand behind the last. The digital part ends in a sigmoid, so that its
# features stay within the rails.

# %%
torch.manual_seed(0)
digits = load_dataset("digits")
digital = nn.Sequential(nn.Linear(64, 12), nn.Sigmoid())
analog = nn.Sequential(
    InverterCrossbar(12, 10, *circuit, encoding="bipolar"),
    InverterCrossbar(10, 10, *circuit, driven_by="inverters", fingers=8),
    OutputInverters(10, *circuit),
)
model = nn.Sequential(digital, analog)
print(f"{sum(p.numel() for p in digital.parameters())} digital weights")
print(f"{sum(p.numel() for p in analog.parameters())} conductances")

# %%
inputs, labels = torch.from_numpy(digits.train_inputs), torch.from_numpy(digits.train_labels)
test_inputs, test_labels = torch.from_numpy(digits.test_inputs), torch.from_numpy(digits.test_labels)
optimizer = torch.optim.Adam(
    [{"params": digital.parameters(), "lr": 0.02}, {"params": analog.parameters(), "lr": 0.1}],
)
loss_of = nn.MultiMarginLoss(margin=0.1)  # of output voltages: the right one 100 mV above all others
losses, accuracies = [], []
for _epoch in range(12):
    for batch in torch.randperm(len(inputs)).split(64):
        loss = loss_of(model(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(1e3 * loss.item())
    with torch.no_grad():
        accuracies.append((model(test_inputs).argmax(1) == test_labels).double().mean().item())
gradient = digital[0].weight.grad
assert gradient is not None
print(f"test accuracy {accuracies[-1]:.1%}; the digital layer's last gradient {gradient.abs().max():.1e} at most")
assert accuracies[-1] > 0.85

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(losses)
left.set(xlabel="step", ylabel="loss, mV", title="One loss for both parts")
right.plot(range(1, len(accuracies) + 1), [100 * value for value in accuracies], "o-")
right.set(xlabel="epoch", ylabel="test accuracy, %", title="In the model")
figure.savefig("training.png")

# %% [markdown]
# ## Export, and simulate
#
# `inverter_network` says what is programmed: siemens, in the device's range. It is written as a programming map, a row
# a memristor, and ngspice gets the features of the test images, as a chip behind the digital part would.

# %%
network = inverter_network(analog, dataset="digits, 12 features")
network.save(Path("analog.safetensors"))
EXPORTS["csv"].write(Export(run, run.system, network, run.surrogates), Path("programming.csv"))
torch.save(digital.state_dict(), "digital.pt")
with torch.no_grad():
    np.savez(
        "features.npz",
        x_train=digital(inputs).numpy(),
        y_train=digits.train_labels,
        x_test=digital(test_inputs).numpy(),
        y_test=digits.test_labels,
    )
print(*Path("programming.csv").read_text().splitlines()[:3], sep="\n")
summary = run.verify_network(network)
print(f"{summary.images} images: {summary.accuracy_model:.1%} in the model, {summary.accuracy_spice:.1%} in ngspice")
print(f"same class for {summary.agreement:.1%}, outputs off by {1e6 * summary.error_mean_V:.1f} uV in the mean")
assert summary.agreement == 1.0

# %%
first = network.crossbars[0]
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
shown = axes.imshow(1e6 * (first.pos - first.neg).T, cmap="RdBu")
axes.set(xlabel="feature", ylabel="column", title="g_pos - g_neg of the first crossbar, uS")
figure.colorbar(shown)
figure.savefig("conductances.png")
