# %% [markdown]
# # Your own data, from a CSV
#
# A file of numbers with a column that names the class is all that is needed. Here it is written first, of
# scikit-learn's measurements of 569 breast tumours (ten means each); yours lies somewhere already.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

from spicetrain import Run
from spicetrain.errors import DatasetError

source = load_breast_cancer(as_frame=True)
table = source.frame.iloc[:, :10].assign(diagnosis=source.frame["target"])
table.to_csv("tumours.csv", index=False)
print(table.iloc[:3, [0, 1, 2, 10]])

Path("plan.toml").write_text("""
[current_surface]
points = 41
""")
EXPERIMENT = """
[dataset]
file = "tumours.csv"                 # beside this TOML
label = "diagnosis"                  # all other columns are features
classes = ["malignant", "benign"]    # what its 0 and 1 mean
test_share = 0.2                     # of every class

[characterization]
plan = "plan.toml"

[surrogates]
hidden = [12]
points = 1200
iterations = 60
starts = 1

[network]
layers = [10, 6, 2]                  # ten features, two classes
inverter_sizes = [8.0, 1.0]
encoding = "bipolar"

[training]
epochs = 25
batch_size = 64

[verification]
images = 113
flat_images = 0
"""
Path("tumours.toml").write_text(EXPERIMENT)
run = Run.open("tumours.toml", "runs/tumours")

# %% [markdown]
# ## How it is read
#
# Every feature is scaled to 0..1 by its range over the training samples: 1 is a row driven to a rail. Test values
# beyond that range are clipped, and how many is said.

# %%
dataset = run.dataset
print(f"{len(dataset.train_inputs)} samples to train on, {len(dataset.test_inputs)} to test, {dataset.classes}")
print(f"inputs from {dataset.train_inputs.min():.2f} to {dataset.train_inputs.max():.2f}")
print(*dataset.notes, sep="\n")

# %% [markdown]
# What cannot be learnt is refused before anything is measured, with its place. One value that is missing:

# %%
broken = table.copy()
broken.loc[5, "mean area"] = np.nan
broken.to_csv("broken.csv", index=False)
Path("broken.toml").write_text(EXPERIMENT.replace("tumours.csv", "broken.csv"))
try:
    print(Run.open("broken.toml").dataset)
except DatasetError as error:
    print(error)

# %% [markdown]
# ## Characterize, fit, train, verify, report
#
# `run.all()` does what is not done yet, in this order; so does `spicetrain run tumours.toml`.

# %%
summary = run.all()
print(f"{summary.accuracy_spice:.1%} of {summary.images} tumours in ngspice, {summary.accuracy_model:.1%} in the model")
print(f"outputs off by {1e6 * summary.error_mean_V:.2f} uV in the mean; the page: {run.folder / 'report.html'}")
assert summary.accuracy_spice is not None
assert summary.accuracy_spice > 0.85

# %%
images = pd.read_parquet("runs/tumours/verification.parquet")
difference_mV = 1e3 * (images["spice_o_1_V"] - images["spice_o_0_V"])
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
bins = list(np.linspace(difference_mV.min(), difference_mV.max(), 25))
for number, name in enumerate(dataset.classes):
    axes.hist(difference_mV[images["label"] == number], bins, alpha=0.6, label=name)
axes.axvline(0, color="black", lw=0.8)
axes.set(xlabel="output benign - output malignant in ngspice, mV", ylabel="tumours")
axes.legend(frameon=False)
figure.savefig("outputs.png")

# %% [markdown]
# All settings, other formats (`.npz`, `.parquet`, folders of images) and what is refused:
# [your own data](../own-data.md). A number in place of a class: [regression](../regression.md).
