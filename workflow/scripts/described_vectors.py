from typing import Any

import pandas as pd

from script_job import job
from snakesteer.storage.files import read_tensors, write_text
from snakesteer.vectors.described import cosines, of_layers
from snakesteer.vectors.samples import Samples

with job(snakemake):
    activations = [Samples(path) for path in snakemake.input.get("activations", [])]
    rows = []
    by_model: dict[str, dict[str, Any]] = {}
    for path, entry in zip(snakemake.input.vectors, snakemake.params.settings, strict=True):
        vector = read_tensors(path)["vector"]
        by_model.setdefault(entry["model"], {})[entry["name"]] = vector
        samples = {
            role: [activations[place] for place in places]
            for role, places in entry["samples"].items()
        }
        about = {"vector": entry["name"], "method": entry["method"], "model": entry["model"]}
        rows += [about | row for row in of_layers(vector, samples)]
    angles = [row for vectors in by_model.values() for row in cosines(vectors)]
    for output, table in (("vectors", rows), ("cosines", angles)):
        text = pd.DataFrame(table).to_csv(index=False, lineterminator="\n")
        write_text(snakemake.output[output], text)
