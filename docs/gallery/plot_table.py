"""
Why a row of a table got its answer
===================================

A made table of loans has numbers, categories, dates and gaps. skrub encodes it, the
classifier answers, and every voter is shown with the columns that make it near.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from skrub import tabular_pipeline

from knngraph import KNNGraphClassifierCV
from knngraph.inspection import explain_table

rng = np.random.default_rng(0)
n = 600
loans = pd.DataFrame(
    {
        "amount": rng.gamma(2.0, 6000.0, n).round(-2),
        "income": rng.gamma(6.0, 7000.0, n).round(-2),
        "purpose": rng.choice(["car", "house", "study"], n, p=[0.5, 0.3, 0.2]),
        "region": rng.choice(["north", "south", "east", "west"], n),
        "since": pd.Timestamp("2015-01-01")
        + pd.to_timedelta(rng.integers(0, 3000, n), "D"),
    }
)
strain = loans["amount"] / loans["income"] + 0.3 * (loans["purpose"] == "car")
label = np.where(strain > rng.normal(0.6, 0.1, n), "late", "paid")
loans.loc[rng.random(n) < 0.1, "income"] = np.nan

train, test = loans[:500], loans[500:]
model = tabular_pipeline(KNNGraphClassifierCV(random_state=0))
model.fit(train, label[:500])
print(f"accuracy {model.score(test, label[500:]):.2f}")

answer = explain_table(model, test.iloc[[3]], training=train)[0]
print(answer)

# %%
# The voters, and what makes each of them near.

voters = answer.voters[:6]
figure, axes = plt.subplots(layout="constrained")
left = np.zeros(len(voters))
names = [
    f"row {v.name}: {v.neighbor.label}, {v.neighbor.weight:.0%} of the vote"
    for v in voters
]
for j in np.argsort(-answer.relevance):
    shares = np.array([voter.shares[j] for voter in voters])
    axes.barh(names, shares, left=left, label=answer.columns[j])
    left += shares
axes.invert_yaxis()
axes.set(xlabel="share of each column", xlim=(0, 1))
figure.legend(loc="outside upper center", ncols=3)
plt.show()
