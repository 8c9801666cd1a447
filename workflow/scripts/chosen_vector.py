from script_job import job
from snakesteer.storage.files import read_json, read_provenance, read_tensors, write_tensors
from snakesteer.storage.provenance import derived
from snakesteer.vectors.chosen import placed

with job(snakemake, "vectors"):
    (path,), (choice,) = snakemake.input.vector, snakemake.input.choice
    origin, chosen = read_provenance(path), read_json(choice)["chosen"]
    vector = placed(
        read_tensors(path)["vector"],
        origin.get("positions"),
        chosen,
        snakemake.params.settings["at"],
    )
    made = derived(snakemake, [origin])
    made["chosen"] = {name: chosen[name] for name in ("layer", "position", "coefficient")}
    write_tensors(snakemake.output[0], {"vector": vector[None]}, made)
