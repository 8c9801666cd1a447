from typing import Any

import pandas as pd

from script_job import job
from snakesteer.storage.files import read_provenance, read_tensors, write_text
from snakesteer.vectors.activation_norms import activation_norms, summed, with_norms
from snakesteer.vectors.described import COSINES, cosines, of_draws, of_layers
from snakesteer.vectors.samples import Samples

with job(snakemake):
    activations = [Samples(path) for path in snakemake.input.get("activations", [])]
    lengths = [summed(each) for each in activations]
    rows = []
    by_model: dict[str, dict[str, Any]] = {}
    positions = {}
    drawn = [entry["name"] for entry in snakemake.params.settings if entry.get("draws")]
    for path, entry in zip(snakemake.input.vectors, snakemake.params.settings, strict=True):
        name = entry["name"]
        vector = read_tensors(path)["vectors" if name in drawn else "vector"]
        by_model.setdefault(entry["model"], {})[name] = vector
        positions[name] = read_provenance(path).get("positions")
        samples = {
            role: [activations[place] for place in places]
            for role, places in entry["samples"].items()
        }
        about = {"vector": name, "method": entry["method"], "model": entry["model"]}
        described = of_draws if name in drawn else of_layers
        norms = activation_norms([lengths[place] for place in entry["made_of"]])
        told = described(vector, samples, positions[name])
        rows += [about | row for row in with_norms(told, norms, positions[name])]
    angles = [row for vectors in by_model.values() for row in cosines(vectors, positions, drawn)]
    for output, table in (("vectors", rows), ("cosines", angles)):
        frame = pd.DataFrame(table, columns=None if table else COSINES)
        named = frame.columns.intersection(["position", "other_position", "draws"])
        text = frame.astype(dict.fromkeys(named, "Int64")).to_csv(index=False, lineterminator="\n")
        write_text(snakemake.output[output], text)
