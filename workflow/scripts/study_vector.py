from pathlib import Path

from script_job import job
from snakesteer.storage.files import read_provenance, read_tensors, write_tensors

with job(snakemake, "vectors"):
    (path,) = snakemake.input
    found = snakemake.params.lineage
    lineage = []
    for item in found["lineage"]:
        item = dict(item)
        made = Path(item.pop("path"))
        if made.suffix in (".parquet", ".safetensors") and made.is_file():
            told = read_provenance(made)
            item |= {key: told[key] for key in ("python", "packages", "device") if key in told}
        lineage.append(item)
    provenance = read_provenance(path) | {"site": found["site"], "lineage": lineage}
    write_tensors(snakemake.output[0], read_tensors(path), provenance)
